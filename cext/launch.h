/* The launch: from a plan to a running program. Shared by the executor, the helper's main and the monitor. */
#ifndef OCIRUN_LAUNCH_H
#define OCIRUN_LAUNCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "plan.h"

/* The helper's descriptors, as its starter has set them up. Further ones are named by the plan's integers. */
enum {
  DESCRIPTOR_PLAN = 3,    /* a sealed memfd with the encoded plan */
  DESCRIPTOR_CONTROL = 4, /* SOCK_SEQPACKET to the starter; its messages are `type byte, payload` */
  DESCRIPTOR_RUN_LOCK = 5 /* monitor: held open until the monitor ends; no launched process has it */
};

struct launched {
  pid_t pid;          /* the new process, a child of the caller of launch() even when namespaces were joined; not reaped yet */
  int process;        /* pidfd of it, CLOEXEC */
  int terminal;       /* master side of its terminal, CLOEXEC; -1 when the plan has no `console` step */
  int user_namespace; /* the user namespace that its `clone` step made, CLOEXEC; -1 when it made none */
  ino_t pid_namespace; /* its number, as stat(2) of /proc/PID/ns/pid has it; 0 when it is unknown, or namespaces were joined */
};

/* Execute the plan: the steps before `clone` (in a process of their own, so that the caller stays in its namespaces), the clone, the
 * id maps, and in the child every other step, the last of them `command`. `standard` become 0, 1 and 2 of the program (-1: /dev/null);
 * the caller keeps and closes its copies. The child sees no other descriptor of the caller, no blocked signal and no signal handler.
 *
 * 0: exec has succeeded and `launched` is filled, its descriptors owned by the caller. -1: failure is filled, no process is left and
 * nothing has to be closed. The steps `monitor` and `after_exit_*` are skipped. */
must_check int launch(const struct plan *plan, const int standard[3], struct launched *launched, struct failure *failure);

/* Execute a task: a plan without `command`. Steps run in a child when there is a `clone`, otherwise in this process. The child keeps
 * all descriptors. 0 when every step has succeeded. */
must_check int run_task(const struct plan *plan, struct failure *failure);

/* The monitor (monitor.c): launches the plan, sends 'S' or 'F' on `control`, and stays until the container has ended and is cleaned up.
 * Returns the exit status of the monitor process. It has been started with setsid, /dev/null on 0-2, SIGPIPE ignored, cwd /. */
must_check int monitor_main(const struct plan *plan, int control);

/* Send one message (`type`, then `length` <= 65535 bytes) on a SOCK_SEQPACKET socket. 0, or -1 with errno. Waits when the socket is full. */
must_check int control_send(int control, char type, const void *bytes, size_t length);
/* The same with the payload of 'F' (i32 step, i32 errno, path). */
must_check int control_send_failure(int control, const struct failure *failure);

/* Send 'S' and the pid; `terminal` goes along as SCM_RIGHTS when it is not -1. */
must_check int control_send_started(int control, pid_t pid, int terminal);

/* End this process at once with `status`. The one place beside main that ends a process: forked children of ours leave by it. */
_Noreturn void leave(int status);

#endif
