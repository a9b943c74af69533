//! Crashes at any byte, lost pages, flipped bits: recovery gives exactly a prefix that holds everything synced, or
//! refuses.
