-- What a passage is found by: each of its terms (stems, and the meanings of its phrases) and how much it says about the
-- passage. A search adds up the weights of the question's terms (BM25F).
CREATE TABLE postings (
    passage_id bigint NOT NULL REFERENCES passages ON DELETE CASCADE,
    term text NOT NULL,
    workspace_id uuid NOT NULL,
    weight real NOT NULL,
    PRIMARY KEY (passage_id, term)
);
CREATE INDEX postings_by_term ON postings (term, workspace_id) INCLUDE (passage_id, weight);

-- Where a passage stands in its document.
ALTER TABLE passages ADD COLUMN heading text, ADD COLUMN page_from integer, ADD COLUMN page_to integer;
-- Vectors made of hashed words are no more: only those of an endpoint are compared.
UPDATE passages SET model = NULL, embedding = NULL WHERE model = 'words-1';

ALTER TABLE entries
    ADD COLUMN status text NOT NULL DEFAULT 'ready' CHECK (status IN ('processing', 'ready', 'failed')),
    ADD COLUMN progress smallint NOT NULL DEFAULT 100 CHECK (progress BETWEEN 0 AND 100),
    ADD COLUMN error text,
    -- Which rules made the passages' terms; others than the program's own are made again.
    ADD COLUMN terms_version integer NOT NULL DEFAULT 0,
    -- An uploaded document's headings, paragraphs, items and rows with their pages, as they were parsed.
    ADD COLUMN blocks jsonb,
    ADD CHECK ((status = 'failed') = (error IS NOT NULL));
CREATE INDEX entries_by_terms ON entries (terms_version, id) WHERE status = 'ready';

-- An uploaded file until it is processed. Whoever processes it holds it until `held_until` and says so again and again:
-- what a crash left is taken up by the next.
CREATE TABLE uploads (
    entry_id bigint PRIMARY KEY REFERENCES entries ON DELETE CASCADE,
    file_name text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    held_until timestamptz NOT NULL DEFAULT '-infinity',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX uploads_waiting ON uploads (created_at);
CREATE TABLE upload_chunks (
    entry_id bigint NOT NULL REFERENCES uploads ON DELETE CASCADE,
    position integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (entry_id, position)
);
