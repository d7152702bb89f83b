-- Whom an escalation needs: beside a skill, a department.
ALTER TABLE escalations ADD COLUMN department text;
-- Since when its human is being called, and when the last one was called in vain.
ALTER TABLE escalations ADD COLUMN assigned_at timestamptz;
ALTER TABLE escalations ADD COLUMN missed_at timestamptz;
CREATE INDEX escalations_ringing ON escalations (assigned_at) WHERE status = 'pending' AND assigned_agent_id IS NOT NULL;

-- Whoever has become free again may be called a second time for the same caller; nobody is called twice at once.
DROP INDEX carrier_orders_dial_agent;
CREATE UNIQUE INDEX carrier_orders_dial_agent ON carrier_orders (escalation_id, agent_id)
    WHERE kind = 'dial_agent' AND state IN ('pending', 'asked');
CREATE INDEX carrier_orders_by_escalation ON carrier_orders (escalation_id) WHERE escalation_id IS NOT NULL;

-- A manager's order that no conversation has taken yet. A row lives for moments: the conversation that acts on it removes
-- it, and so does the request that gives up waiting for one. Whoever removes it decides what the manager is told.
CREATE TABLE interventions (
    id       uuid PRIMARY KEY,
    call_id  uuid NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    action   text NOT NULL CHECK (action IN ('pause', 'resume', 'say', 'override')),
    message  text,
    by       uuid,
    asked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX interventions_by_call ON interventions (call_id, asked_at);
CREATE INDEX interventions_by_age ON interventions (asked_at);
