/* The launcher: clones the child, does what only a parent can do for it, and learns from the report socket how it went. */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "execution.h"
#include "system_calls.h"

enum { DEFAULT_MASK = 022 };

/* What the reports have told so far. */
struct outcome {
  pid_t pid; /* of the child, 0 while it is unknown */
  int terminal;
  bool executing, done, failed;
  struct failure failure;
};

static int open_execution(struct execution *execution, const struct plan *plan, struct failure *failure) {
  int ends[2];

  *execution = (struct execution){.plan = plan, .ours = -1, .theirs = -1, .proc = -1, .root = -1, .mask = DEFAULT_MASK};
  execution->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (execution->proc < 0 || !is_on(execution->proc, PROC_SUPER_MAGIC))
    return fail_with(failure, execution->proc < 0 ? errno : EXDEV, "/proc");
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
    return fail(failure, "");
  execution->ours = ends[0];
  execution->theirs = ends[1];
  return 0;
}

static void close_execution(struct execution *execution) {
  close_quietly(&execution->proc);
  close_quietly(&execution->ours);
  close_quietly(&execution->theirs);
  close_quietly(&execution->root);
}

static bool joins_namespaces(const struct plan *plan) {
  return find_step(plan, STEP_JOIN_NAMESPACE, NULL) != NULL || find_step(plan, STEP_JOIN_PROCESS, NULL) != NULL;
}

static bool makes_user_namespace(const struct plan *plan) {
  const struct step *clone = find_step(plan, STEP_CLONE, NULL);

  return clone != NULL && (clone->integers[0] & CLONE_NEWUSER) != 0;
}

static void take_report(struct outcome *outcome, const char *packet, size_t length, int descriptor) {
  switch (packet[0]) {
  case REPORT_PID:
    if (length == 1 + sizeof outcome->pid)
      memcpy(&outcome->pid, packet + 1, sizeof outcome->pid);
    break;
  case REPORT_TERMINAL:
    close_quietly(&outcome->terminal);
    outcome->terminal = descriptor;
    return;
  case REPORT_EXECUTING:
    outcome->executing = true;
    break;
  case REPORT_DONE:
    outcome->done = true;
    break;
  case REPORT_FAILURE:
    if (length == 1 + sizeof outcome->failure && !outcome->failed) {
      memcpy(&outcome->failure, packet + 1, sizeof outcome->failure);
      outcome->failed = true;
    }
    break;
  default:
    break;
  }
  close_quietly(&descriptor);
}

static int descriptor_in(struct msghdr *message) {
  struct cmsghdr *header = CMSG_FIRSTHDR(message);
  int descriptor = -1;

  if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len == CMSG_LEN(sizeof(int)))
    memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  return descriptor;
}

/* Read reports until the last copy of the child's end is closed: by exec, or by the child's end. */
static int collect(const struct execution *execution, struct outcome *outcome, struct failure *failure) {
  char packet[1 + REPORT_BYTES];
  struct iovec part = {packet, sizeof packet};
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } rights;
  ssize_t length;

  for (;;) {
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = rights.bytes, .msg_controllen = sizeof rights.bytes};

    length = recvmsg(execution->ours, &message, MSG_CMSG_CLOEXEC);
    if (length > 0)
      take_report(outcome, packet, (size_t)length, descriptor_in(&message));
    else if (length == 0)
      return 0;
    else if (errno != EINTR && errno != ECONNRESET) /* reset: it ended without reading our REPORT_GO; what it sent is still there */
      return fail(failure, "");
  }
}

static int wait_for(pid_t pid) {
  int status = 0;

  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return -1;
  return status;
}

static void kill_and_reap(pid_t pid) {
  if (pid > 0 && kill(pid, SIGKILL) == 0 && wait_for(pid) < 0)
    return;
}

static int let_go(struct execution *execution, pid_t child, struct failure *failure) {
  int sent;

  if (run_parent_steps(execution, child, failure) < 0)
    return -1;
  sent = report_send(execution->ours, REPORT_GO, NULL, 0, -1);
  (void)sent; /* a child that has ended already has said why, or its silence is noticed */
  return 0;
}

/* In the process that joins namespaces on the caller's behalf. Its child is the caller's child, too. */
static int join_and_clone(struct execution *execution, struct failure *failure) {
  pid_t child;

  if (!makes_user_namespace(execution->plan) && hide_process() < 0)
    return fail(failure, "");
  if (join_namespaces(execution, failure) < 0)
    return -1;
  child = clone_child(execution, CLONE_PARENT, failure);
  if (child < 0)
    return -1;
  if (report_send(execution->theirs, REPORT_PID, &child, sizeof child, -1) < 0)
    return fail(failure, "");
  return let_go(execution, child, failure);
}

static _Noreturn void be_joiner(struct execution *execution) {
  struct failure failure = {.step = -1};
  int sent = 0;

  execution->joined = true;
  if (set_oom_score(execution, &failure) < 0 || join_and_clone(execution, &failure) < 0)
    sent = report_send(execution->theirs, REPORT_FAILURE, &failure, sizeof failure, -1);
  leave(sent < 0 ? 1 : 0);
}

/* The plan joins namespaces: a process of its own does that, so that the caller stays where it is. */
static int launch_joined(struct execution *execution, struct outcome *outcome, struct failure *failure) {
  pid_t joiner = fork_with(0);
  int result;

  if (joiner == 0)
    be_joiner(execution);
  if (joiner < 0)
    return fail(failure, "");
  close_quietly(&execution->theirs);
  result = collect(execution, outcome, failure);
  return wait_for(joiner) < 0 ? fail(failure, "") : result;
}

static int open_user_namespace(const struct execution *execution, pid_t child, int *descriptor, struct failure *failure) {
  char path[32];

  snprintf(path, sizeof path, "%d/ns/user", (int)child);
  *descriptor = openat(execution->proc, path, O_RDONLY | O_CLOEXEC);
  return *descriptor < 0 ? fail(failure, path) : 0;
}

/* Now, because a child that is the container's reaper will hide itself. */
static ino_t read_pid_namespace(const struct execution *execution, pid_t child) {
  char path[32];
  struct stat status;

  snprintf(path, sizeof path, "%d/ns/pid", (int)child);
  return fstatat(execution->proc, path, &status, 0) < 0 ? 0 : status.st_ino;
}

/* `launched` is NULL for a task. */
static int launch_directly(struct execution *execution, struct outcome *outcome, struct launched *launched, struct failure *failure) {
  outcome->pid = clone_child(execution, 0, failure);
  if (outcome->pid < 0)
    return -1;
  close_quietly(&execution->theirs);
  if (launched != NULL && makes_user_namespace(execution->plan) &&
      open_user_namespace(execution, outcome->pid, &launched->user_namespace, failure) < 0)
    return -1;
  if (launched != NULL)
    launched->pid_namespace = read_pid_namespace(execution, outcome->pid);
  if (let_go(execution, outcome->pid, failure) < 0)
    return -1;
  return collect(execution, outcome, failure);
}

/* 0 when the reports say that all went well. */
static int judge(const struct outcome *outcome, bool well, struct failure *failure) {
  if (outcome->failed) {
    *failure = outcome->failure;
    return -1;
  }
  if (well)
    return 0;
  failure->step = -1;
  return fail_with(failure, ECHILD, "the child ended before its last step");
}

/* The descriptors to give to the program; `null` stands in for those that are -1. */
static int set_standard(struct execution *execution, const int standard[3], int null, struct failure *failure) {
  if (null < 0)
    return fail(failure, "/dev/null");
  for (int index = 0; index < 3; index++)
    execution->standard[index] = standard[index] < 0 ? null : standard[index];
  return 0;
}

static int start(struct execution *execution, struct outcome *outcome, struct launched *launched, struct failure *failure) {
  int result = joins_namespaces(execution->plan) ? launch_joined(execution, outcome, failure)
                                                 : launch_directly(execution, outcome, launched, failure);

  if (result < 0 || judge(outcome, outcome->executing, failure) < 0)
    return -1;
  launched->process = open_process(outcome->pid);
  return launched->process < 0 ? fail(failure, "") : 0;
}

int launch(const struct plan *plan, const int standard[3], struct launched *launched, struct failure *failure) {
  auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  struct outcome outcome = {.terminal = -1};
  struct execution execution;
  int result;

  *launched = (struct launched){.process = -1, .terminal = -1, .user_namespace = -1};
  failure->step = -1;
  if (find_step(plan, STEP_COMMAND, NULL) == NULL)
    return fail_with(failure, EINVAL, "the plan has no command");
  result = open_execution(&execution, plan, failure);
  if (result == 0)
    result = set_standard(&execution, standard, null, failure);
  if (result == 0)
    result = start(&execution, &outcome, launched, failure);
  close_execution(&execution);
  launched->pid = outcome.pid;
  launched->terminal = outcome.terminal;
  if (result < 0) {
    kill_and_reap(outcome.pid);
    close_quietly(&launched->process);
    close_quietly(&launched->terminal);
    close_quietly(&launched->user_namespace);
  }
  return result;
}

static int run_in_child(struct execution *execution, struct failure *failure) {
  struct outcome outcome = {.terminal = -1};
  int result = launch_directly(execution, &outcome, NULL, failure);

  close_quietly(&outcome.terminal);
  if (result == 0)
    result = judge(&outcome, outcome.done, failure);
  if (result < 0)
    kill_and_reap(outcome.pid);
  else if (wait_for(outcome.pid) < 0)
    return fail(failure, "");
  return result;
}

int run_task(const struct plan *plan, struct failure *failure) {
  struct execution execution;
  int result;

  failure->step = -1;
  if (find_step(plan, STEP_COMMAND, NULL) != NULL)
    return fail_with(failure, EINVAL, "a task has no command");
  result = open_execution(&execution, plan, failure);
  execution.task = true;
  umask(0);
  if (result == 0)
    result = join_namespaces(&execution, failure);
  if (result == 0)
    result = find_step(plan, STEP_CLONE, NULL) == NULL ? run_child_steps(&execution, failure) : run_in_child(&execution, failure);
  close_execution(&execution);
  return result;
}
