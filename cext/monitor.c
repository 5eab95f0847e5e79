/* The monitor of one container or exec session: starts it, stays beside it, and records how it ended. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach_socket.h"
#include "monitor.h"
#include "text.h"

/* A process that outlives the container's first one (host pid namespace, exec) may hold the pipes open for ever. What was written before
 * the end is always taken; after it, a pause this long ends the output, and so does this much time in all (milliseconds). */
#define SILENCE_AFTER_EXIT 100
#define TIME_AFTER_EXIT 2000

enum { POLL_PROCESS, POLL_LISTENER, POLL_TERMINATE, POLL_INPUT, POLL_STREAMS, POLL_CLIENTS = POLL_STREAMS + STREAM_COUNT };

/* Too large for the stack; there is one monitor in a process. */
static struct monitor the_monitor;
static struct pollfd polls[POLL_CLIENTS + CLIENT_MAXIMUM];

/* The string of the settings, NULL when it is empty. */
static const char *setting(const struct monitor *monitor, unsigned index) {
  const struct plan_string *string = &monitor->settings->strings[index];
  return string->length == 0 ? NULL : string->bytes;
}

/* Find the step `monitor`, and check it, because a plan is data. */
static int read_settings(struct monitor *monitor, const struct plan *plan, struct failure *failure) {
  for (uint32_t index = 0; index < plan->step_count; index++) {
    const struct step *step = &plan->steps[index];
    if (step->kind != STEP_MONITOR)
      continue;
    failure->step = (int32_t)index;
    if (step->integer_count != 3 || step->string_count != 3)
      return fail_with(failure, EINVAL, "");
    monitor->plan = plan;
    monitor->settings = step;
    monitor->flags = step->integers[0];
    return 0;
  }
  return fail_with(failure, EINVAL, "");
}

/* The container's id, as the directory of its state file is called: "exec" for a session, which has none. */
static void read_id(const struct monitor *monitor, char *id, size_t capacity) {
  struct text text = {id, 0, capacity - 1};
  const char *path = setting(monitor, 1);
  const char *end = path == NULL ? NULL : strrchr(path, '/');
  const char *start = end;
  while (start != NULL && start > path && start[-1] != '/')
    start--;
  if (start == NULL)
    text_string(&text, "exec");
  else
    text_bytes(&text, start, (size_t)(end - start));
  id[text.length] = '\0';
}

/* Everything that can fail before the container starts. */
static int prepare(struct monitor *monitor, struct failure *failure) {
  char id[80];
  const char *log = setting(monitor, 0);
  const char *socket = setting(monitor, 2);
  read_id(monitor, id, sizeof id);
  monitor->terminate = monitor_become(id);
  if (monitor->terminate < 0)
    return fail(failure, "signalfd");
  if (log != NULL && log_open(&monitor->log, log, monitor->settings->integers[1], monitor->settings->integers[2]) < 0)
    return fail(failure, log);
  if (socket != NULL) {
    monitor->listener = attach_listen(socket);
    if (monitor->listener < 0)
      return fail(failure, socket);
  }
  return 0;
}

static void close_all(const int *descriptors, size_t count) {
  for (size_t index = 0; index < count; index++)
    if (descriptors[index] >= 0)
      close(descriptors[index]);
}

static int set_nonblocking(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  return flags < 0 ? -1 : fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
}

/* Pipes for the three standard streams: ours[0] to write to, the others to read from; -1 where there is none. */
static int make_pipes(const struct monitor *monitor, int ours[3], int theirs[3]) {
  for (int number = 0; number < 3; number++)
    ours[number] = theirs[number] = -1;
  if (monitor->flags & MONITOR_TERMINAL)
    return 0;
  for (int number = (monitor->flags & MONITOR_INPUT) ? 0 : 1; number < 3; number++) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
      return -1;
    ours[number] = ends[number == 0];
    theirs[number] = ends[number != 0];
    if (set_nonblocking(ours[number]) < 0)
      return -1;
  }
  return 0;
}

/* The terminal is read and written through copies of its descriptor, so that each side can be closed like a pipe. */
static int use_terminal(struct monitor *monitor) {
  int terminal = monitor->container.terminal;
  if (terminal < 0 || set_nonblocking(terminal) < 0)
    return -1;
  /* While we hold the other side too, a container that closes its terminal for a moment does not end it (the master would say EIO). */
  monitor->terminal_peer = ioctl(terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  monitor->streams[STREAM_OUTPUT].descriptor = fcntl(terminal, F_DUPFD_CLOEXEC, 3);
  if (monitor->flags & MONITOR_INPUT)
    monitor->input.descriptor = fcntl(terminal, F_DUPFD_CLOEXEC, 3);
  return monitor->streams[STREAM_OUTPUT].descriptor < 0 ? -1 : 0;
}

static int start_container(struct monitor *monitor, struct failure *failure) {
  int ours[3];
  int theirs[3];
  if (make_pipes(monitor, ours, theirs) < 0) {
    (void)fail(failure, "pipe");
    close_all(ours, 3);
    close_all(theirs, 3);
    return -1;
  }
  int result = launch(monitor->plan, theirs, &monitor->container, failure);
  close_all(theirs, 3);
  if (result < 0) {
    close_all(ours, 3);
    return -1;
  }
  monitor->input.descriptor = ours[0];
  monitor->streams[STREAM_OUTPUT].descriptor = ours[1];
  monitor->streams[STREAM_ERROR].descriptor = ours[2];
  failure->step = -1; /* from here on it is no step of the plan that fails */
  state_begin(&monitor->state, setting(monitor, 1), monitor->container.pid);
  if ((monitor->flags & MONITOR_TERMINAL) && use_terminal(monitor) < 0)
    (void)fail(failure, "terminal");
  /* Not fsynced: after a power cut the boot id is another one, and nothing else of this record counts. */
  else if (state_write(&monitor->state, 0) < 0)
    (void)fail(failure, monitor->state.path);
  else
    return 0;
  (void)syscall(SYS_pidfd_send_signal, monitor->container.process, SIGKILL, NULL, 0);
  (void)waitpid(monitor->container.pid, NULL, 0);
  return -1;
}

/* Let those go on who wait for the end of the start: they wait for the second byte of the run lock (ocirun/engine/run_lock.py). */
static void let_waiters_go(const struct monitor *monitor) {
  struct flock byte = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};
  if (!(monitor->flags & MONITOR_EXEC))
    (void)!fcntl(DESCRIPTOR_RUN_LOCK, F_OFD_SETLK, &byte); /* where it fails, they wait for the end of the container */
}

/* Report the start. The starter stays as a client or is let go. */
static void report_start(struct monitor *monitor, int control) {
  uint32_t pid = (uint32_t)monitor->container.pid;
  unsigned char bytes[4] = {(unsigned char)pid, (unsigned char)(pid >> 8), (unsigned char)(pid >> 16), (unsigned char)(pid >> 24)};
  (void)!control_send(control, 'S', bytes, sizeof bytes); /* a starter that has gone shows as a client that hangs up */
  if (!(monitor->flags & MONITOR_FIRST_ATTACHED)) {
    close(control);
    return;
  }
  struct client *client = clients_add(monitor, control);
  if (client != NULL)
    client->uses_input = (monitor->flags & MONITOR_INPUT) != 0;
}

static void note_exit(struct monitor *monitor) {
  siginfo_t information;
  memset(&information, 0, sizeof information);
  if (waitid(P_PID, (id_t)monitor->container.pid, &information, WEXITED | WNOHANG) < 0 || information.si_pid == 0)
    information.si_status = SIGKILL; /* cannot be: the process is ours, and its pidfd says that it has ended */
  (void)clock_gettime(CLOCK_REALTIME, &monitor->state.finished);
  monitor->state.exit_code = information.si_code == CLD_EXITED ? information.si_status : 128 + information.si_status;
  monitor->has_exited = true;
  monitor->exited_at = monitor->last_output = monotonic_milliseconds();
  close(monitor->container.process);
  monitor->container.process = -1;
  if (monitor->terminal_peer >= 0)
    close(monitor->terminal_peer);
  monitor->terminal_peer = -1;
}

/* Pass SIGTERM on, which is what a system that shuts down sends to all. After the container's end, slow clients are let go. */
static void pass_on_termination(struct monitor *monitor) {
  struct signalfd_siginfo information;
  if (read(monitor->terminate, &information, sizeof information) <= 0)
    return;
  monitor->is_abandoned = monitor->has_exited;
  if (monitor->container.process >= 0)
    (void)syscall(SYS_pidfd_send_signal, monitor->container.process, SIGTERM, NULL, 0);
}

static void accept_clients(struct monitor *monitor) {
  while (!clients_are_full(monitor)) {
    int client = attach_accept(monitor->listener);
    if (client >= 0) {
      (void)clients_add(monitor, client);
      continue;
    }
    if (monitor->is_delivering) { /* nobody can connect any more, and that was the last who had */
      close(monitor->listener);
      monitor->listener = -1;
    }
    return;
  }
}

static struct pollfd wish(int descriptor, bool is_wanted, short events) {
  return (struct pollfd){.fd = is_wanted ? descriptor : -1, .events = events};
}

static void fill_polls(const struct monitor *monitor) {
  const struct input *input = &monitor->input;
  bool is_full = input->offset < input->length;
  polls[POLL_PROCESS] = wish(monitor->container.process, true, POLLIN);
  polls[POLL_LISTENER] = wish(monitor->listener, !clients_are_full(monitor), POLLIN);
  polls[POLL_TERMINATE] = wish(monitor->terminate, true, POLLIN);
  /* A pipe without a reader says POLLERR at any time, and is closed then; a terminal is left to its output side. */
  polls[POLL_INPUT] = wish(input->descriptor, is_full || monitor->container.terminal < 0, is_full ? POLLOUT : 0);
  for (int index = 0; index < STREAM_COUNT; index++)
    polls[POLL_STREAMS + index] = wish(monitor->streams[index].descriptor, pump_wants_stream(monitor, index), POLLIN);
  for (int place = 0; place < monitor->client_limit; place++) {
    short events = clients_events(monitor, place);
    polls[POLL_CLIENTS + place] = wish(monitor->clients[place].socket, events != 0, events);
  }
}

static void serve_clients(struct monitor *monitor, int count) {
  for (int place = 0; place < count; place++) {
    short events = polls[POLL_CLIENTS + place].revents;
    if (monitor->clients[place].socket >= 0 && (events & POLLOUT))
      clients_resume(monitor, place);
    if (monitor->clients[place].socket >= 0 && (events & ~POLLOUT))
      clients_read(monitor, place);
  }
}

/* Wait at most `timeout` milliseconds (-1: for ever) for something to happen, and deal with it. */
static void serve(struct monitor *monitor, int timeout) {
  int count = monitor->client_limit;
  pump_tails(monitor);
  fill_polls(monitor);
  if (poll(polls, POLL_CLIENTS + (nfds_t)count, timeout) <= 0)
    return;
  serve_clients(monitor, count);
  if (polls[POLL_INPUT].revents & POLLOUT)
    pump_input(monitor);
  else if (polls[POLL_INPUT].revents != 0)
    pump_close_input(monitor);
  for (int index = 0; index < STREAM_COUNT; index++)
    if (polls[POLL_STREAMS + index].revents != 0)
      pump_stream(monitor, index);
  if (polls[POLL_LISTENER].revents != 0)
    accept_clients(monitor);
  if (polls[POLL_TERMINATE].revents != 0)
    pass_on_termination(monitor);
  if (polls[POLL_PROCESS].revents != 0)
    note_exit(monitor);
}

/* Milliseconds that output may still come after the end: -1 while the container runs, 0 when it is over. */
static int64_t time_left(const struct monitor *monitor) {
  if (!monitor->has_exited)
    return -1;
  if (monitor->streams[STREAM_OUTPUT].descriptor < 0 && monitor->streams[STREAM_ERROR].descriptor < 0)
    return 0;
  int64_t deadline = monitor->last_output + SILENCE_AFTER_EXIT;
  if (deadline > monitor->exited_at + TIME_AFTER_EXIT)
    deadline = monitor->exited_at + TIME_AFTER_EXIT;
  int64_t left = deadline - monotonic_milliseconds();
  return left > 0 ? left : 0;
}

/* false when the record goes with the container: then the disk need not have it. */
static bool keeps_state(const struct monitor *monitor) {
  return monitor->state.path != NULL && !cleanup_takes(monitor->plan, monitor->state.path);
}

/* The container has ended and its output is taken: record it, clean up, and make it known. */
static void finish(struct monitor *monitor) {
  pump_close_streams(monitor);
  pump_close_input(monitor);
  pump_input(monitor);
  log_close(&monitor->log);
  monitor->state.log_error = monitor->log.error;
  monitor->state.has_exited = true;
  /* Where it cannot be written, the file says "running" and the lock is free: that is read as killed, and nobody is there to be told. */
  (void)!state_write(&monitor->state, keeps_state(monitor));
  cleanup_after_exit(monitor);
  if (monitor->listener >= 0)
    attach_refuse(monitor->listener, setting(monitor, 2));
  /* Whoever hears of the end may at once start or remove the container, so the lock has to be free by then. */
  if (!(monitor->flags & MONITOR_EXEC))
    close(DESCRIPTOR_RUN_LOCK);
  monitor->is_delivering = true;
}

int monitor_main(const struct plan *plan, int control) {
  struct monitor *monitor = &the_monitor;
  struct failure failure = {.step = -1};
  monitor->container = (struct launched){.process = -1, .terminal = -1, .user_namespace = -1};
  monitor->terminal_peer = monitor->listener = monitor->terminate = monitor->input.descriptor = monitor->input.owner = -1;
  for (int index = 0; index < STREAM_COUNT; index++)
    monitor->streams[index].descriptor = -1;
  if (read_settings(monitor, plan, &failure) < 0 || prepare(monitor, &failure) < 0 || start_container(monitor, &failure) < 0) {
    if (monitor->listener >= 0)
      attach_refuse(monitor->listener, setting(monitor, 2));
    (void)!control_send_failure(control, &failure);
    return 1;
  }
  let_waiters_go(monitor);
  report_start(monitor, control);
  monitor_shed_code();
  for (int64_t left = -1; left != 0; left = time_left(monitor))
    serve(monitor, (int)left);
  finish(monitor);
  serve(monitor, 0); /* who waits for the end does not wait for the disk */
  if (keeps_state(monitor))
    state_sync(&monitor->state);
  while ((clients_remain(monitor) || monitor->listener >= 0) && !monitor->is_abandoned)
    serve(monitor, -1);
  return 0;
}
