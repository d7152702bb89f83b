CREATE TABLE plans (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    slug text NOT NULL UNIQUE,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    -- Minor units (cents): money is never a float.
    price_minor bigint NOT NULL CHECK (price_minor >= 0),
    currency text NOT NULL DEFAULT 'USD' CHECK (length(currency) = 3),
    interval text NOT NULL DEFAULT 'month' CHECK (interval IN ('month', 'year')),
    -- null = unlimited
    call_limit bigint CHECK (call_limit >= 0),
    agent_limit bigint CHECK (agent_limit >= 0),
    max_minutes bigint CHECK (max_minutes >= 0),
    is_active boolean NOT NULL DEFAULT true,
    position integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX plans_shown ON plans (position, id) WHERE is_active;

-- One subscription per workspace: what its people may use.
CREATE TABLE subscriptions (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    workspace_id uuid NOT NULL UNIQUE,
    user_id uuid NOT NULL,
    plan_id uuid NOT NULL REFERENCES plans,
    status text NOT NULL CHECK (status IN ('active', 'past_due', 'cancelled')),
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL CHECK (period_end > period_start),
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX subscriptions_by_user ON subscriptions (user_id);
CREATE INDEX subscriptions_by_plan ON subscriptions (plan_id);
CREATE INDEX subscriptions_to_renew ON subscriptions (period_end);

-- One row per call that used something. The key is the call: however often its end is told, it is metered once, and a
-- later correction (a higher version) changes the row by the difference.
CREATE TABLE metered_calls (
    call_id uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    -- The period the call started in.
    period_start timestamptz NOT NULL,
    seconds bigint NOT NULL DEFAULT 0 CHECK (seconds >= 0),
    ended boolean NOT NULL DEFAULT false,
    version bigint NOT NULL
);
CREATE INDEX metered_calls_by_workspace ON metered_calls (workspace_id, period_start);

-- Sums per workspace and period, changed in the transaction that changes a metered call.
CREATE TABLE usage (
    workspace_id uuid NOT NULL,
    period_start timestamptz NOT NULL,
    calls bigint NOT NULL DEFAULT 0,
    seconds bigint NOT NULL DEFAULT 0,
    -- Which limits were announced as reached in this period, so that each is announced once.
    calls_reached boolean NOT NULL DEFAULT false,
    minutes_reached boolean NOT NULL DEFAULT false,
    PRIMARY KEY (workspace_id, period_start)
);
CREATE INDEX usage_reached ON usage (period_start) WHERE calls_reached OR minutes_reached;
