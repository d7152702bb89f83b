-- What erasing and exporting look for.
CREATE INDEX qa_scores_by_workspace ON qa_scores (workspace_id, id);
CREATE INDEX qa_scores_by_reviewer ON qa_scores (reviewed_by) WHERE reviewed_by <> 'automatic';
