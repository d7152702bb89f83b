import Postgres

/// The tables every database with events has, applied before a program's own migrations.
public enum MessagingSchema {
    public static let migrations: [Migration] = [
        Migration("messaging/0001-messaging.sql", sql: tables + partitions),
        Migration("messaging/0002-lighter-outbox.sql", sql: lighter),
        Migration("messaging/0003-carried-out.sql", sql: carried),
        Migration("messaging/0004-erasures.sql", sql: erasures),
    ].compactMap { $0 }

    private static let tables = """
        -- What transactions published. Append only: the relay moves a cursor, and whole days are dropped, so there are no
        -- dead rows to wade through.
        CREATE TABLE outbox (
            -- The order of publication; see PublishOrder.
            seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
            id uuid NOT NULL,
            topic text NOT NULL,
            key text NOT NULL,
            type text NOT NULL,
            -- null: a tombstone for the key. The broker takes a megabyte; what is larger must fail here, where somebody
            -- is told, and not in the relay, where it would stop everyone.
            payload text CHECK (octet_length(payload) <= 900000),
            trace text,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp()
        ) PARTITION BY RANGE (created_at);
        CREATE INDEX outbox_in_order ON outbox (seq);
        CREATE INDEX outbox_by_age ON outbox (created_at);
        -- For rows of a day whose partition is missing: publishing never fails for want of one.
        CREATE TABLE outbox_rest PARTITION OF outbox DEFAULT;

        -- How far the relay is. One row, one small update per batch.
        CREATE TABLE outbox_relay (
            single boolean PRIMARY KEY DEFAULT true CHECK (single),
            -- Every row up to here is on the broker, or never came to be.
            published bigint NOT NULL,
            -- Rows up to here were on a broker once; sent again, they are marked so.
            highest bigint NOT NULL,
            -- The last offset of each "topic/partition": a log that ends before it is another log.
            offsets jsonb NOT NULL,
            -- Owners of compacted topics have to publish their present state.
            restate boolean NOT NULL
        ) WITH (fillfactor = 50);
        INSERT INTO outbox_relay (published, highest, offsets, restate) VALUES (0, 0, '{}', false);

        -- Which events have had their effect.
        CREATE TABLE inbox (
            event uuid NOT NULL,
            consumer text NOT NULL,
            at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (event, consumer)
        );
        CREATE INDEX inbox_by_age ON inbox (at);

        -- Events whose handler failed on their content.
        CREATE TABLE dead_letters (
            event uuid NOT NULL,
            consumer text NOT NULL,
            topic text NOT NULL,
            partition integer NOT NULL,
            record_offset bigint NOT NULL,
            key text NOT NULL,
            type text NOT NULL,
            source text NOT NULL,
            time timestamptz NOT NULL,
            payload bytea,
            trace text,
            error text NOT NULL,
            attempts integer NOT NULL,
            at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (event, consumer)
        );
        CREATE INDEX dead_letters_by_age ON dead_letters (at);

        -- First answers to requests with an Idempotency-Key.
        CREATE TABLE idempotency_keys (
            scope text NOT NULL,
            key text NOT NULL,
            fingerprint bytea NOT NULL,
            status integer,
            headers jsonb,
            body bytea,
            at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (scope, key)
        );
        CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);

        """

    private static let lighter = """
        -- Rows come in the order of their time, so a summary of each stretch of pages finds them as well as an entry for
        -- each row, and costs the write next to nothing. Only a replay asks.
        DROP INDEX outbox_by_age;
        CREATE INDEX outbox_by_age ON outbox USING brin (created_at);

        """

    private static let carried = """
        -- When the request had its effect: set by the commit that gave it. Without an answer beside it, its program died
        -- in between.
        ALTER TABLE idempotency_keys ADD COLUMN carried_out_at timestamptz;

        """

    private static let partitions = """
        -- Makes the partitions of today and the next days; harmless to repeat, and on several replicas at once.
        CREATE FUNCTION outbox_ahead(days integer) RETURNS void LANGUAGE plpgsql AS $$
        DECLARE
            day date;
            name text;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended('outbox partitions', 0));
            FOR day IN SELECT (now() AT TIME ZONE 'UTC')::date + n FROM generate_series(0, days) AS n LOOP
                name := 'outbox_' || to_char(day, 'YYYYMMDD');
                CONTINUE WHEN to_regclass(name) IS NOT NULL;
                BEGIN
                    -- Attaching locks the table less than creating a partition does.
                    EXECUTE format('CREATE TABLE %I (LIKE outbox INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
                    EXECUTE format(
                        'ALTER TABLE outbox ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
                        day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
                EXCEPTION WHEN check_violation OR lock_not_available THEN
                    -- Rows of that day are in the default partition already, or somebody is in the way: next time.
                    NULL;
                END;
            END LOOP;
        END
        $$;
        SELECT outbox_ahead(6);

        -- Drops the days that ended more than `kept` ago and hold nothing the relay has still to publish.
        CREATE FUNCTION outbox_drop(kept interval) RETURNS integer LANGUAGE plpgsql AS $$
        DECLARE
            part record;
            pending boolean;
            dropped integer := 0;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended('outbox partitions', 0));
            -- Publishing waits behind a lock that waits: not for long.
            PERFORM set_config('lock_timeout', '500ms', true);
            FOR part IN
                SELECT c.relname AS name, to_date(right(c.relname, 8), 'YYYYMMDD') AS day
                FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'outbox'::regclass AND c.relname ~ '^outbox_[0-9]{8}$'
            LOOP
                CONTINUE WHEN (part.day + 1)::timestamp AT TIME ZONE 'UTC' >= now() - kept;
                BEGIN
                    -- With the lock nobody has an uncommitted row in it: what the next statement does not see is not there.
                    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', part.name);
                    EXECUTE format(
                        'SELECT EXISTS (SELECT FROM %I WHERE seq > (SELECT published FROM outbox_relay))', part.name)
                        INTO pending;
                    IF NOT pending THEN
                        EXECUTE format('DROP TABLE %I', part.name);
                        dropped := dropped + 1;
                    END IF;
                EXCEPTION WHEN lock_not_available THEN
                    NULL;
                END;
            END LOOP;
            RETURN dropped;
        END
        $$;
        """

    private static let erasures = """
        -- People, workspaces and human agents whose data is to go, or has gone. The rows stay a while longer than any event
        -- can come late, so that none brings anything back; they hold ids and numbers only.
        CREATE TABLE erasures (
            kind text NOT NULL CHECK (kind IN ('user', 'workspace', 'agent')),
            id uuid NOT NULL,
            -- Other ids by which events speak of the same.
            also text[] NOT NULL DEFAULT '{}',
            asked_at timestamptz NOT NULL DEFAULT now(),
            -- When to look through the tables (again); null: never.
            due_at timestamptz DEFAULT now(),
            -- Another replica is at it until then, or has died.
            leased_until timestamptz NOT NULL DEFAULT '-infinity',
            done_at timestamptz,
            must_report boolean NOT NULL DEFAULT true,
            sweeps integer NOT NULL DEFAULT 0,
            counts jsonb NOT NULL DEFAULT '{}',
            PRIMARY KEY (kind, id)
        );
        CREATE INDEX erasures_due ON erasures (due_at) WHERE due_at IS NOT NULL;
        """
}
