/* The parts of the monitor: one process, one thread, one poll loop; everything it holds is in struct monitor.
 *
 * Output goes container -> chunk -> log and clients. A stream's chunk is not refilled before every client has taken it: that is the whole
 * of back-pressure, and it needs no queue. Input goes client -> input buffer -> container, one message at a time, acknowledged with 'A'
 * when the container has taken it. Nothing is polled that we could not act on, so a hang-up can never spin. */
#ifndef OCIRUN_MONITOR_H
#define OCIRUN_MONITOR_H

#include <stdbool.h>

#include "launch.h"
#include "log_file.h"
#include "state_file.h"

#define MESSAGE_BYTES 32768 /* the most bytes of input or output in one message */
#define CLIENT_MAXIMUM 256  /* further ones wait in the backlog */
#define TAIL_MAXIMUM (1u << 20) /* the largest pipe of an unprivileged user */

enum { /* flags of the step `monitor` */
  MONITOR_TERMINAL = 1,
  MONITOR_INPUT = 2,
  MONITOR_INPUT_ONCE = 4,
  MONITOR_FIRST_ATTACHED = 8,
  MONITOR_EXEC = 16,
  MONITOR_USER_NAMESPACE = 32
};

struct stream {
  int descriptor; /* where the container's output comes from, -1 after its end */
  int waiting;    /* clients that have not taken the chunk */
  size_t length;  /* of the chunk, type byte included; 0 when there is none */
  char chunk[1 + MESSAGE_BYTES];
  /* After the container's end, output that no client could take yet: the log and the exit record do not wait for slow clients. */
  char *tail;
  size_t tail_offset;
  size_t tail_length;
  size_t tail_capacity;
};

struct input {
  int descriptor; /* to the container; -1 when closed, then input is taken and thrown away */
  bool is_ending; /* close it when the rest is written */
  int owner;      /* the client that sent what is in `bytes`, -1 when it has gone */
  uint32_t taken; /* how much that client will be told */
  size_t offset;
  size_t length;
  char bytes[MESSAGE_BYTES];
};

struct process {
  pid_t pid;
  pid_t parent;
  uint64_t start_time; /* clock ticks since boot: with it a reused pid is told from this one */
  uint32_t threads;
  char state; /* the letter of proc_pid_stat(5) */
  bool is_member; /* of the container */
};

struct process_table {
  struct process *items;
  size_t count;
  size_t capacity;
};

struct client {
  int socket; /* -1: a free place */
  bool wants_output;
  bool uses_input;  /* its end is the end of the input, with MONITOR_INPUT_ONCE */
  bool follows_log; /* wants 'G' when the log has grown */
  bool has_hung_up; /* it takes nothing any more; what it has sent is still read */
  bool is_held;     /* its next message is input, and the input buffer is full */
  bool has_frozen;  /* the container stands still as long as it is there */
  bool owes_answer; /* `answer` could not be sent yet */
  uint32_t answer;  /* to its last 'Z': 0, or an errno */
  unsigned owes;    /* bit per stream whose chunk it has not taken */
  uint32_t acknowledge; /* input bytes that it has not been told of */
};

struct monitor {
  const struct plan *plan;
  const struct step *settings;
  uint64_t flags;
  struct launched container; /* .process is -1 after its end */
  int terminal_peer;         /* our own hold on the terminal's other side */
  int listener;
  int terminate; /* signalfd of SIGTERM */
  bool has_exited;
  bool is_delivering; /* all that is left to do is telling clients */
  bool is_abandoned; /* even that is not worth waiting for */
  bool log_error_is_told;
  int64_t exited_at;   /* CLOCK_MONOTONIC, milliseconds */
  int64_t last_output; /* the same */
  int client_limit;    /* places in use, free ones between them included */
  int freezers;        /* clients for which the container stands still */
  struct process_table stopped; /* the processes that were stopped for them */
  struct stream streams[STREAM_COUNT];
  struct input input;
  struct log_file log;
  struct state state;
  struct client clients[CLIENT_MAXIMUM];
};

/* clients.c */
/* Take in a connected socket. The client, or NULL (socket closed) when there is no place. */
struct client *clients_add(struct monitor *monitor, int socket);
bool clients_are_full(const struct monitor *monitor);
/* Give the stream's chunk to every client that wants output. */
void clients_offer(struct monitor *monitor, int stream);
/* Tell who follows the log that it has grown. */
void clients_log_grown(struct monitor *monitor);
/* Send what a client could not take before. */
void clients_resume(struct monitor *monitor, int place);
/* Read and obey messages of a client. */
void clients_read(struct monitor *monitor, int place);
/* What to poll a client for; 0 for nothing, not even its hang-up. */
short clients_events(const struct monitor *monitor, int place);
bool clients_remain(const struct monitor *monitor);

/* pump.c */
/* Take output of the container: log it, offer it to the clients, or keep it as the tail. */
void pump_stream(struct monitor *monitor, int stream);
bool pump_wants_stream(const struct monitor *monitor, int stream);
/* Refill chunks that all clients have taken from the tails. */
void pump_tails(struct monitor *monitor);
/* All output has been offered, and what is left is in chunks. */
bool pump_tails_are_empty(const struct monitor *monitor);
/* Take what is in the pipes at this moment, and close them. */
void pump_close_streams(struct monitor *monitor);
/* Write the rest of the input to the container; acknowledge or close when it is done. */
void pump_input(struct monitor *monitor);
void pump_close_input(struct monitor *monitor);

/* freeze.c */
/* Stop the container's processes for one more client; success means that they stand still. -1 with errno: for this client they do not. */
must_check int freeze_take(struct monitor *monitor);
/* One client fewer; after the last one, those go on that were stopped by us. */
void freeze_release(struct monitor *monitor);

/* monitor_cleanup.c */
/* One of the steps after_exit_* will remove `path`, or what it lies in. */
bool cleanup_takes(const struct plan *plan, const char *path);
/* Run the steps after_exit_* in the order of the plan; what cannot be removed stays for `system prune`. */
void cleanup_after_exit(const struct monitor *monitor);

/* monitor_process.c */
/* Ignore what would end or stop the monitor, and name it so that ps(1) shows whose monitor it is. Descriptor of SIGTERM, or -1 with errno. */
must_check int monitor_become(const char *container_id);
/* Unmap the code that only the start has needed (the executor, most of the C library): two thirds of what is mapped. What is used again
 * comes back by itself; the sealed file behind it stays, as long as a process runs from it. */
void monitor_shed_code(void);
int64_t monotonic_milliseconds(void);

#endif
