-- What each workspace's plan allows, as billing tells it: counted against here, under a lock, where agents are made.
CREATE TABLE workspace_plans (
    workspace_id    uuid PRIMARY KEY,
    subscription_id uuid NOT NULL,
    -- null = unlimited
    agent_limit     bigint,
    version         bigint NOT NULL
);

-- Announced by billing until now.
DELETE FROM workspace_limits WHERE "limit" = 'agents';
