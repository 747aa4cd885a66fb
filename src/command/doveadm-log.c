#include "command/doveadm-log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/journal.h"
#include "role/wire.h"

/* Of a log so much is looked at from its end. */
enum { LOG_MOST = 16 << 20, ERRORS_MOST = 1000 };

static const struct {
	const char *begins, *type;
} severities[] = { { "warning: ", "Warning" }, { "error: ", "Error" }, { "panic: ", "Panic" } };

int
log_find(struct call *c)
{
	static const char *const types[] = { "Debug", "Info", "Warning", "Error", "Fatal" };
	struct common_settings   common;
	struct settings         *s = command_settings(c, &common);

	if (s == NULL)
		return COMMAND_FAILED;
	if (*common.maillog_file == '\0')
		(void)puts(
			"The log goes to syslog, facility mail: /var/log/mail.log, or journalctl -t mansio");
	else
		for (size_t i = 0; i < COUNT(types); i++)
			(void)printf("%s: %s\n", types[i], common.maillog_file);
	settings_close(&s);
	return COMMAND_DONE;
}

/* The line that tutorials look for in the log, once for each severity there is. */
int
log_test(struct call *c)
{
	struct common_settings common;
	struct settings       *s = command_settings(c, &common);
	const char            *path;
	char                   name[80];
	long                   now = (long)time(NULL);
	bool                   file, screen;
	int                    fd, status = COMMAND_FAILED;

	if (s == NULL)
		return COMMAND_FAILED;
	path = common.maillog_file;
	screen = strcmp(path, "stderr") == 0;
	file = *path != '\0' && !screen;
	fd = file     ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
	     : screen ? STDERR_FILENO
	              : journal_syslog_socket();
	if (fd < 0) {
		(void)fprintf(stderr, "doveadm: %s: %s\n", file ? path : "/dev/log",
		              strerror(errno));
	} else {
		(void)snprintf(name, sizeof name, "%s/doveadm", common.syslog_name);
		journal_open(file     ? JOURNAL_FILE
		             : screen ? JOURNAL_STDERR
		                      : JOURNAL_SYSLOG,
		             fd, common.log_format == LOG_JSON, common.myhostname);
		journal_service(name);
		note("This is Mansio's info log (%ld)", now);
		warn_("This is Mansio's warning log (%ld)", now);
		fault("This is Mansio's error log (%ld)", now);
		journal_flush();
		status = COMMAND_DONE;
	}
	settings_close(&s);
	return status;
}

/* With the settings the log is opened anew, too.  Silent when all is well. */
int
log_reopen(struct call *c)
{
	const char     *argv[] = { "reload" };
	struct word_ask ask = { argv, COUNT(argv), { NULL, 0 } };
	struct buffer   said = { 0 };
	int             status = command_hear(c, "postmaster", &ask, &said);

	if (status != 0)
		command_print(buffer_bytes(&said), stderr);
	buffer_free(&said);
	return status;
}

/* ---- errors ---- */

struct log_line {
	struct bytes stamp, service, text;
	const char  *type;
};

/* "Nov 23 05:49:43 host mansio/keeper[27]: warning: text"; false: no such line, or one that tells of nothing wrong. */
static bool
read_line(struct bytes line, struct log_line *out)
{
	struct bytes rest = bytes_cut(line, 16, line.len), host;
	ptrdiff_t    bracket, colon;

	out->stamp = bytes_cut(line, 0, 15);
	if (line.len < 20 || !bytes_split(&rest, ' ', &host) ||
	    (colon = bytes_search(rest, BYTES("]: "))) < 0 ||
	    (bracket = bytes_find(bytes_cut(rest, 0, (size_t)colon), '[')) < 0)
		return false;
	out->service = bytes_cut(rest, 0, (size_t)bracket);
	rest = bytes_cut(rest, (size_t)colon + 3, rest.len);
	for (size_t i = 0; i < COUNT(severities); i++) {
		struct bytes begins = bytes_of(severities[i].begins);
		if (!bytes_starts(rest, begins))
			continue;
		out->type = severities[i].type;
		out->text = bytes_cut(rest, begins.len, rest.len);
		return true;
	}
	return false;
}

/* A line tells no year: it is the last one in which that moment is not to come. */
static bool
is_older(struct bytes stamp, int64_t since)
{
	char      text[16];
	time_t    now = time(NULL), then;
	struct tm tm, today;

	memset(&tm, 0, sizeof tm);
	if (!bytes_string(stamp, text, sizeof text) || localtime_r(&now, &today) == NULL ||
	    strptime(text, "%b %e %H:%M:%S", &tm) == NULL)
		return true;
	tm.tm_isdst = -1;
	tm.tm_year = today.tm_year;
	if ((then = mktime(&tm)) > now + 86400) {
		tm.tm_year--;
		then = mktime(&tm);
	}
	return then < since;
}

/* The end of the file, from the beginning of a line. */
static bool
read_end(const char *path, struct buffer *out)
{
	struct stat st;
	int         fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t       from = 0;
	ssize_t     n = 0;

	if (fd < 0 || fstat(fd, &st) < 0) {
		(void)fprintf(stderr, "doveadm: %s: %s\n", path, strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	if (st.st_size > LOG_MOST)
		from = st.st_size - LOG_MOST;
	while (out->len < LOG_MOST &&
	       (n = pread(fd, buffer_room(out, 64 << 10), 64 << 10, from + (off_t)out->len)) > 0)
		buffer_took(out, (size_t)n);
	(void)close(fd);
	if (from > 0 && bytes_find(buffer_bytes(out), '\n') >= 0)
		buffer_eat(out, (size_t)bytes_find(buffer_bytes(out), '\n') + 1);
	return true;
}

/* As a line of Dovecot's, or as a row of the form that was asked for. */
static void
print_line(struct output *o, const struct log_line *l)
{
	if (o == NULL) {
		(void)printf("%.*s %s: %.*s: %.*s\n", (int)l->stamp.len, l->stamp.at, l->type,
		             (int)l->service.len, l->service.at, (int)l->text.len, l->text.at);
		return;
	}
	output_value(o, l->stamp);
	output_value(o, l->service);
	output_value(o, bytes_of(l->type));
	output_value(o, l->text);
}

/* The last of them, the oldest first. */
static void
print_errors(struct bytes log, int64_t since, struct output *o)
{
	struct log_line *kept = memory_take(ERRORS_MOST * sizeof *kept), l;
	struct bytes     line;
	size_t           count = 0;

	while (bytes_split(&log, '\n', &line))
		if (read_line(line, &l) && !(since > 0 && is_older(l.stamp, since)))
			kept[count++ % ERRORS_MOST] = l;
	for (size_t i = count > ERRORS_MOST ? count - ERRORS_MOST : 0; i < count; i++)
		print_line(o, &kept[i % ERRORS_MOST]);
	memory_free(kept);
}

int
log_errors(struct call *c, const char *since, enum output_form form, bool formed)
{
	static const struct output_column columns[] = { { .title = "timestamp" },
		                                        { .title = "prefix" },
		                                        { .title = "type" },
		                                        { .title = "text" } };
	struct common_settings            common;
	struct settings                  *s = command_settings(c, &common);
	struct buffer                     log = { 0 };
	int                               status = COMMAND_FAILED;
	uint64_t                          from = 0;

	if (s == NULL)
		return COMMAND_FAILED;
	if (since != NULL && !bytes_number(bytes_of(since), &from))
		(void)fprintf(
			stderr,
			"doveadm: \"%s\" is not a moment; right would be seconds since 1970\n",
			since);
	else if (*common.maillog_file == '\0' || strcmp(common.maillog_file, "stderr") == 0)
		(void)fputs(
			"doveadm: the log goes to syslog, which keeps it: journalctl -p warning -t mansio/keeper, "
			"or grep -E 'warning|error|panic' /var/log/mail.log\n",
			stderr);
	else if (read_end(common.maillog_file, &log)) {
		struct output *o =
			formed ? output_open_as_doveadm(form, columns, COUNT(columns)) : NULL;
		print_errors(buffer_bytes(&log), (int64_t)from, o);
		output_close(&o);
		status = COMMAND_DONE;
	}
	buffer_free(&log);
	settings_close(&s);
	return status;
}
