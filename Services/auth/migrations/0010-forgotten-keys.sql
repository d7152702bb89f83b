-- The trail now has API keys in it as well, with the names people gave them: those go with whoever is erased.
CREATE OR REPLACE FUNCTION audit_forget(person uuid, mail text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('switchboard.forgetting', 'on', true);
    UPDATE audit SET before = NULL, after = NULL
        WHERE thing IN ('user', 'member') AND thing_id = person::text
           OR thing IN ('workspace', 'invitation', 'api_key') AND actor_id = person
           OR lower(before ->> 'email') = lower(mail) OR lower(after ->> 'email') = lower(mail)
           OR lower(before ->> 'value') = lower(mail) OR lower(after ->> 'value') = lower(mail);
    UPDATE audit SET address = NULL, user_agent = NULL WHERE actor_id = person;
    PERFORM set_config('switchboard.forgetting', 'off', true);
END
$$;
