#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int cl_accept4(int fd, struct sockaddr *address, socklen_t *length) {
    return accept4(fd, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
static int control(int epoll, int op, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(epoll, op, fd, &event);
}
int cl_epoll_add(int epoll, int fd, uint32_t events, uint64_t data) {
    return control(epoll, EPOLL_CTL_ADD, fd, events, data);
}
int cl_epoll_change(int epoll, int fd, uint32_t events, uint64_t data) {
    return control(epoll, EPOLL_CTL_MOD, fd, events, data);
}
int cl_epoll_remove(int epoll, int fd) { return control(epoll, EPOLL_CTL_DEL, fd, 0, 0); }

static _Thread_local void *current_loop;
void *cl_loop(void) { return current_loop; }
void cl_set_loop(void *loop) { current_loop = loop; }

static int stop_pipe[2] = {-1, -1};
static void on_stop_signal(int number) {
    int before = errno;
    unsigned char byte = (unsigned char)number;
    if (write(stop_pipe[1], &byte, 1) < 0) { /* full: earlier signals are still to be read, and say the same */ }
    errno = before;
}
int cl_stop_signals(void) {
    if (pipe2(stop_pipe, O_CLOEXEC) != 0) return -1;
    fcntl(stop_pipe[1], F_SETFL, O_NONBLOCK);
    struct sigaction action = {.sa_handler = on_stop_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, 0);
    sigaction(SIGINT, &action, 0);
    signal(SIGPIPE, SIG_IGN);
    return stop_pipe[0];
}
// To the kernel a core that computes for us is as busy as any other, so it puts a woken thread behind the one on the next core
// rather than in our place. A core that sleeps it finds. How many threads want a core is in /proc/loadavg: `0.52 0.58 0.59 3/428`.
// Whoever has stepped aside computes for a turn before it looks again, or it would never get on: a short one when the cores were
// wanted for a moment, a long one when they are wanted all the time and it comes back although they are.
enum { LOOK_NS = 500000, NAP_NS = 100000, NAPS_MAX = 40, TURN_NS = 250000, LONG_TURN_NS = 1750000 };
static int load_file = -1;
static long cores;
static timer_t look_timer;
static long wanting(void) {
    char text[64];
    ssize_t length = pread(load_file, text, sizeof text - 1, 0);
    if (length <= 0) return 0;
    text[length] = 0;
    const char *end = strchr(text, '/');
    while (end && end > text && end[-1] != ' ') end--;
    return end ? strtol(end, 0, 10) : 0;
}
static int64_t computed(void) {
    struct timespec time = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}
static void on_look(int number) {
    (void)number;
    static int64_t next;
    if (computed() < next) return;
    int before = errno, naps = 0;
    struct timespec nap = {.tv_nsec = NAP_NS};
    // It is one of those itself.
    for (; naps < NAPS_MAX && wanting() > cores; naps++) nanosleep(&nap, 0);
    next = computed() + (naps == NAPS_MAX ? LONG_TURN_NS : TURN_NS);
    errno = before;
}
static void prepare_to_give_way(void) {
    struct sigevent look = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    look._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    struct sigaction action = {.sa_handler = on_look, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    cores = sysconf(_SC_NPROCESSORS_ONLN);
    int file = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    if (sigaction(SIGALRM, &action, 0) != 0 || timer_create(CLOCK_MONOTONIC, &look, &look_timer) != 0) {
        close(file);
        return;
    }
    pthread_sigmask(SIG_UNBLOCK, &alarm_only, 0);
    prctl(PR_SET_TIMERSLACK, 1L);
    load_file = file;
}
void cl_give_way(int on) {
    if (load_file < 0) return;
    long next = on ? LOOK_NS : 0;
    struct itimerspec looks = {.it_interval.tv_nsec = next, .it_value.tv_nsec = next};
    timer_settime(look_timer, 0, &looks, 0);
}
void cl_background_process(void) {
    // A session of its own has a share of the processors of its own, which is made a tenth of everybody else's. With the smallest
    // there is a log-in takes twice as long where others take all cores, and they are no quicker for it. Where shares go by
    // containers instead, the thread's own niceness is what counts.
    setsid();
    int group = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
    // EAGAIN: the system takes ten such wishes a second.
    for (int tries = 0; group >= 0 && tries < 20 && write(group, "10", 2) < 0 && errno == EAGAIN; tries++) usleep(50000);
    if (group >= 0) close(group);
    // Whoever wakes up and asks for shorter turns than the running one's does not wait for its end (Linux 6.12; ignored
    // before): so ask for the longest, a tenth of a second.
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } wish = {.size = 48, .policy = SCHED_BATCH, .nice = 19, .runtime = 100000000};
    if (syscall(SYS_sched_setattr, 0, &wish, 0) != 0) setpriority(PRIO_PROCESS, 0, 19);
    prepare_to_give_way();
}
int cl_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}
void cl_exit_now(int code) { _exit(code); }
