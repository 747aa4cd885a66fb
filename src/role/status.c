/* status -- who works in the house, for `mansio status` */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "role/child.h"
#include "role/postmaster.h"

enum { FACT_MOST = 64 };

static const char *const state_names[] = {
	[CHILD_AWAY] = "away",
	[CHILD_COMING] = "starting",
	[CHILD_WORKING] = "working",
};

/* A line of /proc/PID/status or smaps_rollup: the number behind the name. */
static uint64_t
proc_number(pid_t pid, const char *file, const char *name)
{
	char     path[64], line[256];
	FILE    *f;
	uint64_t n = 0;

	(void)snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	if ((f = fopen(path, "re")) == NULL)
		return 0;
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0) {
			n = strtoull(line + strlen(name), NULL, 10);
			break;
		}
	(void)fclose(f);
	return n;
}

/* "key=value" among facts; 0 when it is not there. */
static uint64_t
fact_number(const char *facts, const char *key)
{
	size_t n = strlen(key);

	for (const char *at = facts; at != NULL && *at != '\0';
	     at = strchr(at, ' '), at += at != NULL) {
		if (strncmp(at, key, n) == 0 && at[n] == '=')
			return strtoull(at + n + 1, NULL, 10);
	}
	return 0;
}

/* One line of the table, whoever it is about. */
struct line {
	const char *role, *state, *cage, *facts;
	uint32_t    index, connections, restarts;
	pid_t       pid;
	uint64_t    uid, memory_kib;
	int64_t     up_ms;
};

static struct line
line_of_child(const struct child *c)
{
	const char *facts = c->facts == NULL ? "" : c->facts;

	return (struct line){
		.role = role_names[c->role],
		.state = state_names[c->state],
		.cage = c->cage == NULL ? "" : c->cage,
		.facts = facts,
		.index = child_number(c),
		.connections = c->connections,
		.restarts = c->restarts,
		.pid = c->pid,
		.uid = c->pid > 0 ? proc_number(c->pid, "status", "Uid:") : 0,
		.memory_kib = c->pid > 0 ? fact_number(facts, "memory") : 0,
		.up_ms = c->pid > 0 ? clock_patient_ms() - c->started_ms : 0,
	};
}

static struct line
line_of_postmaster(int64_t began_ms)
{
	return (struct line){
		.role = "postmaster",
		.state = "working",
		.cage = geteuid() == 0 ? "few-capabilities no-new-privileges" : "no-new-privileges",
		.facts = "",
		.pid = getpid(),
		.uid = geteuid(),
		.memory_kib = proc_number(getpid(), "smaps_rollup", "Pss:"),
		.up_ms = clock_patient_ms() - began_ms,
	};
}

static void
table_line(struct buffer *out, const struct line *l)
{
	buffer_printf(out, "%-10s %3u %8d %6" PRIu64 " %-8s %6u %6.1fM %7" PRId64 "s %4u  %s\n",
	              l->role, l->index, l->pid, l->uid, l->state, l->connections,
	              (double)l->memory_kib / 1024, l->up_ms / 1000, l->restarts, l->cage);
}

void
status_table(const struct children *all, const char *file, int64_t began_ms, struct buffer *out)
{
	struct line l = line_of_postmaster(began_ms);
	uint64_t    memory = l.memory_kib;
	uint64_t    connections = 0;
	size_t      processes = 1;

	buffer_printf(out, "Mansio %s, %s, process %d\n", MANSIO_VERSION, file, getpid());
	buffer_printf(out, "%-10s %3s %8s %6s %-8s %6s %7s %8s %4s  %s\n", "role", "no", "pid",
	              "uid", "state", "conns", "memory", "up", "new", "cage");
	table_line(out, &l);
	for (size_t i = 0; i < all->count; i++) {
		if (child_is_vacant(&all->child[i]) ||
		    (child_is_idle(&all->child[i]) && all->child[i].pid == 0))
			continue;
		processes++;
		l = line_of_child(&all->child[i]);
		memory += l.memory_kib;
		connections += l.connections;
		table_line(out, &l);
	}
	buffer_printf(out, "%zu processes, %" PRIu64 " connections, %.1fM of memory\n", processes,
	              connections, (double)memory / 1024);
}

static void
json_string(struct buffer *out, const char *s)
{
	buffer_add_char(out, '"');
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20)
			buffer_printf(out, "\\u%04x", (unsigned)*s);
		else {
			if (*s == '"' || *s == '\\')
				buffer_add_char(out, '\\');
			buffer_add_char(out, *s);
		}
	}
	buffer_add_char(out, '"');
}

/* "key=value key=value" as members of an object. */
static void
json_facts(struct buffer *out, const char *facts)
{
	struct bytes rest = bytes_of(facts), one;
	char         text[FACT_MOST * 4];
	bool         any = false;

	buffer_add_string(out, ",\"facts\":{");
	while (bytes_split(&rest, ' ', &one)) {
		ptrdiff_t eq = bytes_find(one, '=');
		if (eq <= 0 || !bytes_string(bytes_cut(one, 0, (size_t)eq), text, sizeof text))
			continue;
		if (any)
			buffer_add_char(out, ',');
		any = true;
		json_string(out, text);
		buffer_add_char(out, ':');
		if (bytes_string(bytes_cut(one, (size_t)eq + 1, one.len), text, sizeof text))
			json_string(out, text);
		else
			buffer_add_string(out, "\"\"");
	}
	buffer_add_char(out, '}');
}

static void
json_line(struct buffer *out, const struct line *l)
{
	buffer_printf(out,
	              "{\"role\":\"%s\",\"index\":%u,\"pid\":%d,\"uid\":%" PRIu64
	              ",\"state\":\"%s\",\"connections\":%u,"
	              "\"memory_kib\":%" PRIu64 ",\"up_seconds\":%" PRId64
	              ",\"restarts\":%u,\"cage\":",
	              l->role, l->index, l->pid, l->uid, l->state, l->connections, l->memory_kib,
	              l->up_ms / 1000, l->restarts);
	json_string(out, l->cage);
	json_facts(out, l->facts);
	buffer_add_char(out, '}');
}

void
status_json(const struct children *all, const char *file, int64_t began_ms, struct buffer *out)
{
	struct line l = line_of_postmaster(began_ms);

	buffer_printf(out, "{\"version\":\"%s\",\"configuration\":", MANSIO_VERSION);
	json_string(out, file);
	buffer_add_string(out, ",\"processes\":[");
	json_line(out, &l);
	for (size_t i = 0; i < all->count; i++) {
		if (child_is_vacant(&all->child[i]) ||
		    (child_is_idle(&all->child[i]) && all->child[i].pid == 0))
			continue;
		l = line_of_child(&all->child[i]);
		buffer_add_char(out, ',');
		json_line(out, &l);
	}
	buffer_add_string(out, "]}\n");
}
