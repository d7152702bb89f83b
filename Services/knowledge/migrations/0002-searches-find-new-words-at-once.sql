-- By default a GIN index collects new rows in a list that every search reads from end to end until a vacuum files them:
-- after a quarter of 22,000 passages had been rewritten, a search of a workspace with 5,000 took 195 ms instead of 13,
-- longer than a caller is kept waiting. Filing each row at once makes adding an entry a little slower, which nobody notices.
ALTER INDEX passages_words SET (fastupdate = off);
SELECT gin_clean_pending_list('passages_words');
