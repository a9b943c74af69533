-- worker.order: an order is about to be sent to an exchange.
--
--  $1 id                a new one; kept only if the key is new        $6 quantity_base    base units
--  $2 idempotency_key   names the decision                            $7 price_quote      quote units, null for MARKET
--  $3 exchange          $4 symbol                                     $8 type             MARKET | LIMIT | IOC | FOK
--  $5 side              BUY | SELL                                    $9 placed_at
--
-- Idempotency: one order a key, PENDING when it is new. An order that is there stays as it is.
-- Lost answer: run it again with the same key; the id may be another.
-- Answers applied: true if this call wrote the order. id: of the order that has the key, whoever wrote it.
WITH written AS (
    INSERT INTO worker.orders (id, exchange, symbol, side, type, quantity_base, price_quote, status, idempotency_key,
                               created_at, updated_at)
    VALUES ($1::uuid, $3::text, $4::text, $5::text, $8::text, $6::bigint, $7::bigint, 'PENDING', $2::text,
            $9::timestamptz, $9::timestamptz)
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING id
)
SELECT EXISTS (SELECT FROM written) AS applied,
       coalesce((SELECT id FROM written), worker.order_of_key($2::text)) AS id
