import Postgres

/// The tables every database with events has, applied before a program's own migrations.
public enum MessagingSchema {
    public static let migrations: [Migration] = [
        Migration("messaging/0001-messaging.sql", sql: first)
    ].compactMap { $0 }

    private static let first = """
        -- What has been published, in the order of the transactions that published it. Append only: the relay moves a
        -- cursor, and whole days are dropped, so there are no dead rows to wade through.
        CREATE TABLE outbox (
            xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
            seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
            id uuid NOT NULL,
            topic text NOT NULL,
            key text NOT NULL,
            type text NOT NULL,
            -- null: a tombstone for the key
            payload text,
            trace text,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp()
        ) PARTITION BY RANGE (created_at);
        CREATE INDEX outbox_in_order ON outbox (xid, seq);
        CREATE INDEX outbox_by_age ON outbox (created_at);
        CREATE TABLE outbox_rest PARTITION OF outbox DEFAULT;

        -- Up to where the relay has published.
        CREATE TABLE relay (
            only boolean PRIMARY KEY DEFAULT true CHECK (only),
            xid xid8 NOT NULL,
            seq bigint NOT NULL
        );
        INSERT INTO relay (xid, seq) VALUES ('0', 0);

        -- The epoch of each topic's log, and how far a resending has come: nulls when none is under way.
        CREATE TABLE relay_topics (
            topic text PRIMARY KEY,
            epoch bigint NOT NULL DEFAULT 1,
            resend_xid xid8,
            resend_seq bigint,
            restate boolean NOT NULL DEFAULT false
        );
        CREATE INDEX relay_topics_resending ON relay_topics (topic) WHERE resend_xid IS NOT NULL;
        -- The last offset published per partition: a log that ends before it is another log.
        CREATE TABLE relay_offsets (
            topic text NOT NULL,
            partition integer NOT NULL,
            last bigint NOT NULL,
            PRIMARY KEY (topic, partition)
        );

        -- Which events have had their effect.
        CREATE TABLE inbox (
            id uuid PRIMARY KEY,
            at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX inbox_by_age ON inbox (at);

        -- Events whose handler failed on their content.
        CREATE TABLE dead_letters (
            id uuid PRIMARY KEY,
            topic text NOT NULL,
            partition integer NOT NULL,
            record_offset bigint NOT NULL,
            key text NOT NULL,
            type text NOT NULL,
            payload text,
            trace text,
            error text NOT NULL,
            at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX dead_letters_by_age ON dead_letters (at);

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

        -- Makes the partitions of today and the next two days; harmless to repeat and on several replicas at once.
        CREATE FUNCTION outbox_ahead() RETURNS void LANGUAGE plpgsql AS $$
        DECLARE
            day date;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended('outbox partitions', 0));
            FOR day IN SELECT (now() AT TIME ZONE 'UTC')::date + n FROM generate_series(0, 2) AS n LOOP
                IF to_regclass(format('outbox_%s', to_char(day, 'YYYYMMDD'))) IS NULL THEN
                    EXECUTE format(
                        'CREATE TABLE outbox_%s PARTITION OF outbox FOR VALUES FROM (%L) TO (%L)',
                        to_char(day, 'YYYYMMDD'), day::timestamp AT TIME ZONE 'UTC',
                        (day + 1)::timestamp AT TIME ZONE 'UTC');
                END IF;
            END LOOP;
        END
        $$;
        SELECT outbox_ahead();

        -- Drops the days that ended more than `kept` ago and hold nothing the relay has still to publish.
        CREATE FUNCTION outbox_drop(kept interval) RETURNS integer LANGUAGE plpgsql AS $$
        DECLARE
            part record;
            pending boolean;
            dropped integer := 0;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended('outbox partitions', 0));
            FOR part IN
                SELECT c.relname AS name, to_date(right(c.relname, 8), 'YYYYMMDD') AS day
                FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'outbox'::regclass AND c.relname ~ '^outbox_[0-9]{8}$'
            LOOP
                IF (part.day + 1)::timestamp AT TIME ZONE 'UTC' >= now() - kept THEN CONTINUE; END IF;
                EXECUTE format(
                    'SELECT EXISTS (SELECT FROM %I o, relay r WHERE (o.xid, o.seq) > (r.xid, r.seq))', part.name)
                    INTO pending;
                IF NOT pending THEN
                    EXECUTE format('DROP TABLE %I', part.name);
                    dropped := dropped + 1;
                END IF;
            END LOOP;
            RETURN dropped;
        END
        $$;
        """
}
