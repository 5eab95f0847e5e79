/* Freezing a container without cgroups: SIGSTOP to all its processes until none is left that runs, SIGCONT to the same ones afterwards.
 *
 * The monitor does it for a client, and lets the container go on when that client's connection ends, however it ends. Were the monitor to
 * die itself, the container dies with it: there is no moment at which a death leaves processes that stand still.
 *
 * The container's processes are those in its pid namespace, and their descendants (which may have made pid namespaces of their own). One
 * that forks faster than it is found is found by the next look: its parent stands still by then. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor.h"
#include "system_calls.h"
#include "text.h"

/* How long processes may take to stand still (milliseconds): a busy machine lets each of them run once before it does. */
#define TIME_TO_STOP 5000
/* Fields of /proc/PID/stat (proc(5)), counted from the state, which follows the name in brackets. */
enum { FIELD_PARENT = 1, FIELD_THREADS = 17, FIELD_START_TIME = 19 };

static int add_process(struct process_table *table, const struct process *process) {
  if (table->count == table->capacity) {
    size_t capacity = table->capacity == 0 ? 256 : 2 * table->capacity;
    struct process *items = realloc(table->items, capacity * sizeof *items);
    if (items == NULL)
      return -1;
    table->items = items;
    table->capacity = capacity;
  }
  table->items[table->count++] = *process;
  return 0;
}

static void clear_table(struct process_table *table) {
  free(table->items);
  *table = (struct process_table){0};
}

static void name_file(char path[64], pid_t pid, const char *name) {
  struct text text = {path, 0, 63};
  text_string(&text, "/proc/");
  text_number(&text, pid);
  text_string(&text, name);
  path[text.length] = '\0';
}

/* What the kernel says of `pid`. false when there is no such process. */
static bool read_process(pid_t pid, struct process *process) {
  char path[64];
  char line[1024];
  name_file(path, pid, "/stat");
  auto_close int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t count = file < 0 ? -1 : read(file, line, sizeof line - 1);
  if (count <= 0)
    return false;
  line[count] = '\0';
  char *position = strrchr(line, ')');
  if (position == NULL || position[1] != ' ')
    return false;
  *process = (struct process){.pid = pid, .state = position[2]};
  position += 2;
  for (int field = 1; field <= FIELD_START_TIME; field++) {
    position = strchr(position, ' ');
    if (position == NULL)
      return false;
    uint64_t value = strtoull(++position, NULL, 10);
    if (field == FIELD_PARENT)
      process->parent = (pid_t)value;
    else if (field == FIELD_THREADS)
      process->threads = (uint32_t)value;
    else if (field == FIELD_START_TIME)
      process->start_time = value;
  }
  return true;
}

/* The number of a process's pid namespace; 0 when it cannot be seen. */
static ino_t pid_namespace(pid_t pid) {
  char path[64];
  struct stat status;
  name_file(path, pid, "/ns/pid");
  return stat(path, &status) < 0 ? 0 : status.st_ino;
}

static int compare_pids(const void *left, const void *right) {
  pid_t first = ((const struct process *)left)->pid;
  pid_t second = ((const struct process *)right)->pid;
  return (first > second) - (first < second);
}

static bool has_member_as_parent(const struct process_table *table, const struct process *process) {
  struct process key = {.pid = process->parent};
  const struct process *parent = bsearch(&key, table->items, table->count, sizeof *table->items, compare_pids);
  return parent != NULL && parent->is_member;
}

/* All processes of the machine by their pids, those of the container marked. -1 with errno. */
static int look_at_processes(const struct launched *container, struct process_table *table) {
  DIR *directory = opendir("/proc");
  if (directory == NULL)
    return -1;
  /* In our own pid namespace (a container that shares the machine's) only descendants are the container's. */
  ino_t namespace = container->pid_namespace == pid_namespace(getpid()) ? 0 : container->pid_namespace;
  int result = 0;
  for (const struct dirent *entry = readdir(directory); result == 0 && entry != NULL; entry = readdir(directory)) {
    struct process process;
    if (!isdigit((unsigned char)entry->d_name[0]) || !read_process((pid_t)strtol(entry->d_name, NULL, 10), &process))
      continue;
    process.is_member = process.pid == container->pid || (namespace != 0 && pid_namespace(process.pid) == namespace);
    result = add_process(table, &process);
  }
  closedir(directory);
  if (table->count > 0)
    qsort(table->items, table->count, sizeof *table->items, compare_pids);
  for (bool has_grown = true; has_grown;) {
    has_grown = false;
    for (size_t index = 0; index < table->count; index++)
      if (!table->items[index].is_member && has_member_as_parent(table, &table->items[index]))
        table->items[index].is_member = has_grown = true;
  }
  return result;
}

static bool is_listed(const struct process_table *stopped, const struct process *process) {
  for (size_t index = 0; index < stopped->count; index++)
    if (stopped->items[index].pid == process->pid && stopped->items[index].start_time == process->start_time)
      return true;
  return false;
}

/* Signal the process that `process` was when it was looked at, and no other that has its pid by now. */
static void send_to(const struct process *process, int signal) {
  struct process now;
  auto_close int descriptor = open_process(process->pid);
  if (descriptor >= 0 && read_process(process->pid, &now) && now.start_time == process->start_time)
    (void)!send_signal(descriptor, signal); /* one that has ended; what cannot be signalled is seen running by the next look */
}

/* Stop the process if it has to be stopped. 1 when it stands still already, 0 when the next look has to tell, -1 with errno. */
static int stop_process(struct process_table *stopped, const struct process *process) {
  bool is_waiting = process->state == 'D' || (process->state == 'Z' && process->threads > 1);
  /* Stopped by us, or by the user before: then it is not in our list, and stays as it is. Traced: it waits for its tracer. */
  if (strchr("TtXx", process->state) != NULL || (process->state == 'Z' && !is_waiting))
    return 1;
  /* In the kernel's hands (a vfork waits for its child), or the first thread has ended: it stops where it next could do anything. */
  if (is_waiting && is_listed(stopped, process))
    return 1;
  /* Noted first: what is not in the list would never go on. */
  if (!is_listed(stopped, process) && add_process(stopped, process) < 0)
    return -1;
  send_to(process, SIGSTOP);
  return 0;
}

/* As stop_process, for all of the container. */
static int stop_once(const struct launched *container, struct process_table *stopped) {
  struct process_table table = {0};
  int result = look_at_processes(container, &table) < 0 ? -1 : 1;
  for (size_t index = 0; result >= 0 && index < table.count; index++) {
    if (!table.items[index].is_member)
      continue;
    int is_still = stop_process(stopped, &table.items[index]);
    result = is_still < result ? is_still : result;
  }
  clear_table(&table);
  return result;
}

static int stop_all(const struct monitor *monitor, struct process_table *stopped) {
  int64_t end = monotonic_milliseconds() + TIME_TO_STOP;
  /* Twice in a row, because a process may have been born behind the back of one look. */
  for (int quiet = 0; quiet < 2;) {
    int is_still = stop_once(&monitor->container, stopped);
    if (is_still < 0)
      return -1;
    quiet = is_still ? quiet + 1 : 0;
    if (is_still)
      continue;
    if (monotonic_milliseconds() > end) {
      errno = EAGAIN;
      return -1;
    }
    (void)sched_yield();
  }
  return 0;
}

static void thaw(struct process_table *stopped) {
  /* The last first: a shell whose child goes on before it does not take the child for stopped. */
  while (stopped->count > 0)
    send_to(&stopped->items[--stopped->count], SIGCONT);
  clear_table(stopped);
}

int freeze_take(struct monitor *monitor) {
  /* After the end of the container there is nobody to be stopped. */
  if (monitor->container.process >= 0 && stop_all(monitor, &monitor->stopped) < 0) {
    int error = errno;
    if (monitor->freezers == 0)
      thaw(&monitor->stopped);
    errno = error;
    return -1;
  }
  monitor->freezers++;
  return 0;
}

void freeze_release(struct monitor *monitor) {
  if (--monitor->freezers > 0)
    return;
  thaw(&monitor->stopped);
  monitor_shed_code(); /* what this has touched is not needed again soon */
}
