/* What the monitor is to the rest of the machine: its signals and its name. */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "monitor.h"
#include "text.h"

#define PROCESS_NAME "ocirun-monitor"
/* Digits of a container's id that are shown, as in `ps`. */
#define SHOWN_DIGITS 12

int64_t monotonic_milliseconds(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Where the linker has put the head of this program, and the segments' table behind it: hence an array of unknown length. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

void monitor_shed_code(void) {
  const char *head = __ehdr_start;
  const ElfW(Ehdr) *header = (const void *)head;
  const ElfW(Phdr) *segments = (const void *)(head + header->e_phoff);
  uintptr_t bias = UINTPTR_MAX;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
  for (unsigned index = 0; index < header->e_phnum; index++) {
    const ElfW(Phdr) *segment = &segments[index];
    if (segment->p_type != PT_LOAD)
      continue;
    if (bias == UINTPTR_MAX) /* the first one begins with the head */
      bias = (uintptr_t)head - segment->p_vaddr;
    uintptr_t start = (bias + segment->p_vaddr) & ~page;
    uintptr_t end = (bias + segment->p_vaddr + segment->p_memsz + page) & ~page;
    if (!(segment->p_flags & PF_W)) /* unchanged pages of the file: they come back when they are touched */
      (void)madvise((void *)start, end - start, MADV_DONTNEED);
  }
}

/* Where the kernel finds the argument list of this process and what follows it: fields 48 and 51 of /proc/self/stat (proc(5)). */
static int find_arguments(char **start, char **end) {
  char line[1024];
  int descriptor = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return -1;
  ssize_t count = read(descriptor, line, sizeof line - 1);
  close(descriptor);
  line[count > 0 ? count : 0] = '\0';
  char *position = strrchr(line, ')');
  for (int field = 2; field < 51 && position != NULL; field++) {
    position = strchr(position + 1, ' ');
    if (position != NULL && field == 47)
      *start = (char *)strtoull(position + 1, NULL, 10);
    if (position != NULL && field == 50)
      *end = (char *)strtoull(position + 1, NULL, 10);
  }
  return position == NULL || *start == NULL || *end <= *start ? -1 : 0;
}

/* Write the name over the argument list, so that ps(1) tells monitors apart. What has no room is cut off. */
static void set_title(const char *container_id) {
  char *start = NULL;
  char *end = NULL;
  (void)prctl(PR_SET_NAME, PROCESS_NAME, 0, 0, 0);
  if (find_arguments(&start, &end) < 0)
    return;
  memset(start, 0, (size_t)(end - start));
  struct text title = {start, 0, (size_t)(end - start) - 1};
  text_string(&title, PROCESS_NAME);
  text_string(&title, " ");
  text_bytes(&title, container_id, strnlen(container_id, SHOWN_DIGITS));
}

int monitor_become(const char *container_id) {
  sigset_t terminate;
  set_title(container_id);
  for (int number = 1; number <= SIGRTMAX; number++)
    switch (number) {
    case SIGKILL:
    case SIGSTOP:
    case SIGCHLD: /* ignored, it would make the kernel reap the container behind our back */
    case SIGTERM: /* see below */
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGABRT:
    case SIGTRAP:
    case SIGSYS: /* our own faults; SIGXFSZ is not among them: a log that meets a limit is an ordinary error */
      break;
    default:
      (void)signal(number, SIG_IGN);
    }
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  if (sigprocmask(SIG_BLOCK, &terminate, NULL) < 0)
    return -1;
  return signalfd(-1, &terminate, SFD_CLOEXEC | SFD_NONBLOCK);
}
