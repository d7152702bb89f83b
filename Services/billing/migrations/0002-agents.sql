-- One row per AI agent. A deleted one stays as a mark, so that no older event can bring it back.
CREATE TABLE counted_agents (
    agent_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    is_removed boolean NOT NULL DEFAULT false,
    version bigint NOT NULL
);
CREATE INDEX counted_agents_by_workspace ON counted_agents (workspace_id);

-- Their sum per workspace, changed in the transaction that changes a counted agent.
CREATE TABLE agent_counts (
    workspace_id uuid PRIMARY KEY,
    agents bigint NOT NULL DEFAULT 0,
    -- Whether the plan's limit was announced as reached.
    reached boolean NOT NULL DEFAULT false
);

-- A plan whose limits change is told to everyone who has it, batch by batch: whoever is behind was not told yet.
ALTER TABLE plans ADD COLUMN version bigint NOT NULL DEFAULT 1;
ALTER TABLE subscriptions ADD COLUMN plan_version bigint NOT NULL DEFAULT 0;
CREATE INDEX subscriptions_behind ON subscriptions (plan_id, plan_version);
