#pragma once
// Linux calls that `import Glibc` does not show to Swift, and one thread-local pointer.
#include <spawn.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

// accept4 is declared by hand: defining _GNU_SOURCE in a header breaks debug builds.
int cl_accept4(int fd, struct sockaddr *address, socklen_t *length);
int cl_epoll_add(int epoll, int fd, uint32_t events, uint64_t data);
int cl_epoll_change(int epoll, int fd, uint32_t events, uint64_t data);
int cl_epoll_remove(int epoll, int fd);
// events and data of event i
static inline uint32_t cl_events(const struct epoll_event *list, int i) { return list[i].events; }
static inline uint64_t cl_data(const struct epoll_event *list, int i) { return list[i].data.u64; }
// the loop of this thread, 0 when it has none
void *cl_loop(void);
void cl_set_loop(void *loop);
// a descriptor that gives one byte, the signal's number, for each SIGTERM and SIGINT from now on, whichever thread the
// system picks to take it; SIGPIPE is ignored. Once per process.
int cl_stop_signals(void);
// this process, which has only the calling thread to compute, gets the processor when hardly anybody else wants it
void cl_background_process(void);
// from now on (or no more), this thread of it looks every half a millisecond whether more want a core than there are, and sleeps
// until they do not, four milliseconds at most
void cl_give_way(int on);
// the new process has no descriptor from `first` on (glibc 2.34)
int cl_spawn_close_from(posix_spawn_file_actions_t *actions, int first);
// _exit: no exit handlers run
void cl_exit_now(int code) __attribute__((noreturn));
