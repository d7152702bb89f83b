#pragma once
#include <libpq-fe.h>

/// libpq 17 can end a pipeline's unit without writing to the socket at once, so that many units leave in one write;
/// an older libpq writes on every one. Weak: the symbol is looked up when the program starts, whatever it was built on.
extern int PQsendPipelineSync(PGconn *connection) __attribute__((weak));

static inline int switchboard_sync_without_flush(PGconn *connection) {
    return PQsendPipelineSync ? PQsendPipelineSync(connection) : PQpipelineSync(connection);
}
