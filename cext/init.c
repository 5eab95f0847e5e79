/* ocirun-init, the static helper: `ocirun-init MODE` with a plan on descriptor 3 and a control socket on 4.
 *
 *   task      execute a plan of file work; results as 'R', a failure as 'F'
 *   launch    start the plan's program with this process's 0, 1 and 2, send 'S' (and the terminal's master with it) or 'F', and leave:
 *             the program becomes the child of the nearest subreaper
 *   monitor   start the plan's program and stay with it until its end (monitor.c)
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch.h"
#include "system_calls.h"

#ifdef OCIRUN_SANITIZE
/* Leaks are looked for by ptrace, which our processes refuse; a report makes the exit status 99. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
  return "detect_leaks=0:exitcode=99";
}
#endif

_Noreturn void leave(int status) {
  _exit(status);
}

/* Map the plan. Only a sealed one: what has been checked may not change afterwards. */
static int read_plan(struct plan *plan, struct failure *failure) {
  int seals = fcntl(DESCRIPTOR_PLAN, F_GET_SEALS);
  struct stat status;
  void *bytes;

  failure->step = -1;
  if (seals < 0 || fstat(DESCRIPTOR_PLAN, &status) < 0)
    return fail(failure, "plan");
  if ((seals & F_SEAL_WRITE) == 0 || (seals & F_SEAL_SHRINK) == 0)
    return fail_with(failure, EPERM, "the plan is not sealed");
  bytes = mmap(NULL, status.st_size > 0 ? (size_t)status.st_size : 1, PROT_READ, MAP_PRIVATE, DESCRIPTOR_PLAN, 0);
  if (bytes == MAP_FAILED)
    return fail(failure, "plan");
  close(DESCRIPTOR_PLAN);
  return plan_decode(bytes, (size_t)status.st_size, plan, failure);
}

static int task_main(const struct plan *plan) {
  struct failure failure = {.step = -1};

  if (run_task(plan, &failure) == 0)
    return 0;
  return control_send_failure(DESCRIPTOR_CONTROL, &failure) < 0 ? 2 : 1;
}

static int launch_main(const struct plan *plan) {
  struct failure failure = {.step = -1};
  struct launched launched;
  const int standard[3] = {0, 1, 2};
  int32_t pid;

  if (launch(plan, standard, &launched, &failure) < 0)
    return control_send_failure(DESCRIPTOR_CONTROL, &failure) < 0 ? 2 : 1;
  pid = launched.pid;
  if (control_send_started(DESCRIPTOR_CONTROL, pid, launched.terminal) < 0)
    return 2;
  return 0;
}

static void settle(void) {
  sigset_t none;

  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGCHLD, SIG_DFL); /* ignored, it would have the kernel reap our children */
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_NAME, "ocirun-init", 0, 0, 0);
}

int main(int argument_count, char **arguments) {
  struct failure failure = {.step = -1};
  struct plan plan;

  settle();
  if (argument_count < 2 || chdir("/") < 0)
    return 2;
  if (read_plan(&plan, &failure) < 0)
    return control_send_failure(DESCRIPTOR_CONTROL, &failure) < 0 ? 2 : 1;
  if (strcmp(arguments[1], "task") == 0)
    return task_main(&plan);
  if (strcmp(arguments[1], "launch") == 0)
    return launch_main(&plan);
  if (strcmp(arguments[1], "monitor") == 0 && (setsid() >= 0 || errno == EPERM))
    return monitor_main(&plan, DESCRIPTOR_CONTROL);
  return 2;
}
