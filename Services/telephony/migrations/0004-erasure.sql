-- What erasing a person looks for.
CREATE INDEX calls_by_human ON calls (assigned_agent_id) WHERE assigned_agent_id IS NOT NULL;
CREATE INDEX notes_by_author ON notes (author_id) WHERE author_id IS NOT NULL;

-- What is erased is now in the table that every program with events has.
INSERT INTO erasures (kind, id, asked_at) SELECT 'workspace', workspace_id, at FROM erased_workspaces
    ON CONFLICT DO NOTHING;
DROP TABLE erased_workspaces;
