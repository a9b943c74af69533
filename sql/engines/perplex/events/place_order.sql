-- perplex: an order rests on the book.
--
--  $1 event_id uuid         version 5 of the perplex namespace and 'place:' || id
--  $2 id                    $3 address      $4 market_id   $5 side (buy|sell)   $6 order_type
--  $7 price                 $8 qty          $9 remaining   $10 ts_ns            $11 client_order_id (or null)
--
-- Answers: applied; false when an earlier attempt had placed it.
-- Idempotency: by event_id in ledger.applied. The order's own key is not enough: the order may be filled and deleted
--   before a late repeat arrives, which would bring it back.
-- Lost answer: run it again with the same event_id.
WITH once AS (
    INSERT INTO ledger.applied (event_id) VALUES ($1::uuid) ON CONFLICT DO NOTHING RETURNING event_id
), placed AS (
    INSERT INTO perplex.open_orders
        (id, address, market_id, side, order_type, price, qty, remaining, ts_ns, client_order_id)
    SELECT $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text, $9::text, $10::text, $11::text
    FROM once
)
SELECT EXISTS (SELECT FROM once) AS applied
