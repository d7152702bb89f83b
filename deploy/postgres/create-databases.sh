#!/bin/bash
# Run once by the PostgreSQL image when its data directory is new: one role and one database per program, and a role
# can connect to no other database than its own. (deploy/local does the same in board/postgres.py.)
set -euo pipefail

{
    echo 'REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;'
    for program in auth billing telephony qa knowledge realtime; do
        name=switchboard_$program
        echo "CREATE ROLE $name LOGIN PASSWORD :'password';"
        echo "CREATE DATABASE $name OWNER $name;"
        echo "REVOKE ALL ON DATABASE $name FROM PUBLIC;"
    done
    echo '\connect switchboard_knowledge'
    echo 'CREATE EXTENSION vector;'
} | psql -v ON_ERROR_STOP=1 -v password="$POSTGRES_PASSWORD" --username postgres --dbname postgres
