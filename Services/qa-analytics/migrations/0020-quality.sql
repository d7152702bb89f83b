-- Who judged a call, by which rules, on which words; what a person changed, and what it was before.
ALTER TABLE calls
    -- A person has judged: nothing automatic touches score and mood any more.
    ADD COLUMN reviewed boolean NOT NULL DEFAULT false;

ALTER TABLE qa_scores
    ADD COLUMN reviewed boolean NOT NULL DEFAULT false,
    -- Null also when the person has left.
    ADD COLUMN reviewer_id uuid,
    -- What made the findings: the rubric, or a model. `reviewed_by` is that, or the person who judged after it.
    ADD COLUMN judged_by text NOT NULL DEFAULT 'qa-rubric-v1',
    -- [{"area","note","evidence":[interaction ids],"deduction"}]: what was looked at where nothing was found.
    ADD COLUMN basis jsonb NOT NULL DEFAULT '[]',
    -- What the business configuration asked for: {"business_id","version","sentiment_analysis","compliance_check",
    -- "min_score_threshold"}
    ADD COLUMN terms jsonb NOT NULL DEFAULT '{}',
    ALTER COLUMN reviewed_by SET DEFAULT 'qa-rubric-v1';

DROP INDEX qa_scores_by_reviewer;
CREATE INDEX qa_scores_by_reviewer ON qa_scores (reviewer_id) WHERE reviewer_id IS NOT NULL;

-- One row for each change of a score, by its new version: only the members that changed.
CREATE TABLE qa_score_changes (
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    version bigint NOT NULL,
    changed_by text NOT NULL,
    -- Null when it was no person, or one who has left.
    changer_id uuid,
    changed_at timestamptz NOT NULL,
    before jsonb NOT NULL,
    after jsonb NOT NULL,
    PRIMARY KEY (call_id, version)
);
CREATE INDEX qa_score_changes_by_changer ON qa_score_changes (changer_id) WHERE changer_id IS NOT NULL;

-- `quality_assurance` of each business configuration.
CREATE TABLE business_configs (
    id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    version bigint NOT NULL,
    is_active boolean NOT NULL,
    quality_assurance jsonb NOT NULL
);
CREATE INDEX business_configs_by_workspace ON business_configs (workspace_id);

-- What people are called, for `reviewed_by`: tokens do not say.
CREATE TABLE people (
    user_id uuid PRIMARY KEY,
    name text NOT NULL,
    version bigint NOT NULL
);

-- Calls that wait for a model's judgement. Whoever claims one moves `due_at` ahead: a dead program's come due again.
-- `revision` is another one when words are added: a judgement of fewer words does not count.
CREATE SEQUENCE qa_judgement_revisions;
CREATE TABLE qa_judgements (
    call_id uuid PRIMARY KEY REFERENCES calls ON DELETE CASCADE,
    revision bigint NOT NULL DEFAULT nextval('qa_judgement_revisions'),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL
);
CREATE INDEX qa_judgements_by_due ON qa_judgements (due_at);

-- A score, whoever writes or corrects it, shows in its call. A corrected sentiment moves the mood with it.
CREATE OR REPLACE FUNCTION show_score() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    felt boolean;
BEGIN
    IF TG_OP = 'DELETE' THEN
        UPDATE calls SET overall = NULL, sentiment = NULL, compliance = NULL, accuracy = NULL, professionalism = NULL,
            issues = '{}', reviewed = false WHERE call_id = OLD.call_id;
        RETURN NULL;
    END IF;
    -- Where nobody spoke there is nothing to judge: such a score counts in no average and no distribution.
    IF NEW.findings @> '[{"code": "nobody_spoke"}]' AND NOT NEW.reviewed THEN
        UPDATE calls SET overall = NULL, sentiment = NULL, compliance = NULL, accuracy = NULL, professionalism = NULL,
            mood = NULL, mood_label = NULL, issues = '{}', reviewed = false WHERE call_id = NEW.call_id;
        RETURN NULL;
    END IF;
    -- Moods that nobody asked for do not come from a score either, unless a person says so.
    felt := NEW.reviewed OR NEW.terms ->> 'sentiment_analysis' IS DISTINCT FROM 'false';
    UPDATE calls SET overall = NEW.overall, sentiment = NEW.sentiment, compliance = NEW.compliance,
        accuracy = NEW.accuracy, professionalism = NEW.professionalism, issues = issue_codes(NEW.findings),
        reviewed = NEW.reviewed, mood_label = CASE WHEN felt THEN NEW.sentiment_label ELSE mood_label END,
        mood = CASE WHEN NOT felt OR abs((mood + 1) / 2 - NEW.sentiment) < 1e-9 THEN mood
            ELSE 2 * NEW.sentiment - 1 END
    WHERE call_id = NEW.call_id;
    RETURN NULL;
END
$$;

UPDATE qa_scores SET reviewed = reviewed_by <> 'automatic',
    reviewed_by = CASE WHEN reviewed_by = 'automatic' THEN 'qa-rubric-v1' ELSE reviewed_by END;
