/* demo -- a whole server to look at, in a directory of its own */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "command/certificate.h"
#include "command/command.h"
#include "command/proof.h"
#include "command/server.h"
#include "role/wire.h"

enum {
	PATH_ROOM = 4096,
	PATH_MOST = 2048,
	SETS_MOST = 256,
	READY_MS = 60000,
	LOCK_MS = 15000,
	BASE_MOST = 65535 - 995
};

#define HOST "mail.example.com"
#define DOMAIN "example.com"

static int run_demo(struct call *);

const struct command command_demo = {
	.name = "demo",
	.forms =
		"demo [--dir DIR] [--base-port N] [--password P] [--dns ADDR:PORT] [--set NAME=VALUE]... [--once]",
	.about =
		"Runs a whole server in a directory of its own, with four people in it, and shows that it works.",
	.more = "In DIR (./demo if not said) it makes a private CA and a certificate for " HOST
		", a main.cf, and the domain " DOMAIN
		" with the accounts jill, jack, ataylor and jsmith, who share the password P (one is made up if not "
		"said). The services listen on 127.0.0.1 alone, at N more than their usual ports; N is 20000 if not said: "
		"smtp N+25, submission N+587, submissions N+465, lmtp N+24, imap N+143, imaps N+993, pop3 N+110, pop3s "
		"N+995. No network is trusted, and names are looked up at --dns alone.\n"
		"\n"
		"A letter is sent from jack to jill by submission over TLS and read back by IMAP over TLS. Then DIR/demo.env "
		"tells other programs where everything is, DIR/ready appears, and the server runs until SIGTERM or SIGINT; "
		"with --once it stops after that letter.\n"
		"\n"
		"The same DIR again serves the same mail, with the main.cf that is there: only what is said on the command "
		"line is set in it. Two demos with two DIRs and two N run side by side.",
	.run = run_demo,
};

static const char *const people[] = { "jill", "jack", "ataylor", "jsmith" };

/* Each service: its setting, its usual port, its name in demo.env. */
static const struct {
	const char *setting, *variable;
	int         port;
} services[] = {
	{ "listen_smtp", "MANSIO_SMTP_PORT", 25 },
	{ "listen_submission", "MANSIO_SUBMISSION_PORT", 587 },
	{ "listen_submissions", "MANSIO_SUBMISSIONS_PORT", 465 },
	{ "listen_lmtp", "MANSIO_LMTP_PORT", 24 },
	{ "listen_imap", "MANSIO_IMAP_PORT", 143 },
	{ "listen_imaps", "MANSIO_IMAPS_PORT", 993 },
	{ "listen_pop3", "MANSIO_POP3_PORT", 110 },
	{ "listen_pop3s", "MANSIO_POP3S_PORT", 995 },
};

struct demo {
	char          dir[PATH_MOST], config[PATH_ROOM], authority[PATH_ROOM];
	char          password[1100];
	int           base, lock;
	const char   *given, *dns; /* NULL: not said         */
	const char   *set[SETS_MOST];
	size_t        sets;
	bool          once, fresh;
	struct server server;
	struct call   call; /* questions to the server */
};

/* DIR/name */
static const char *
path_in(const struct demo *d, const char *name, char path[static PATH_ROOM])
{
	(void)snprintf(path, PATH_ROOM, "%s/%.2000s", d->dir, name);
	return path;
}

static bool
refuse(const char *path)
{
	(void)fprintf(stderr, "mansio: %s: %s\n", path, strerror(errno));
	return false;
}

/* Whole or not at all, under its name. */
static bool
write_file(const char *path, mode_t mode, struct bytes text)
{
	char fresh[PATH_ROOM];
	int  fd;
	bool good;

	(void)snprintf(fresh, sizeof fresh, "%.4000s.new", path);
	if ((fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)) < 0)
		return refuse(fresh);
	good = write(fd, text.at, text.len) == (ssize_t)text.len && fchmod(fd, mode) == 0 &&
	       fsync(fd) == 0;
	good = close(fd) == 0 && good;
	return (good && rename(fresh, path) == 0) || refuse(path);
}

/*
 * What was said
 */

static bool
take_base(struct call *c, struct demo *d)
{
	const char *text;
	uint64_t    n;

	d->base = 20000;
	if (!command_option(c, "--base-port", &text))
		return true;
	if (!bytes_number(bytes_of(text), &n) || n > BASE_MOST) {
		(void)command_wrong(c, "--base-port %s is not a number from 0 to %d", text,
		                    BASE_MOST);
		return false;
	}
	d->base = (int)n;
	return true;
}

static bool
take_dns(struct call *c, struct demo *d)
{
	ptrdiff_t colon;
	uint64_t  port;

	if (!command_option(c, "--dns", &d->dns))
		return true;
	colon = bytes_find_last(bytes_of(d->dns), ':');
	if (colon > 0 && bytes_number(bytes_of(d->dns + colon + 1), &port) && port > 0 &&
	    port < 65536)
		return true;
	(void)command_wrong(c, "--dns %s is not an address with a port, as 127.0.0.1:53", d->dns);
	return false;
}

static bool
take_sets(struct call *c, struct demo *d)
{
	const char *text, *equals;

	while (command_option(c, "--set", &text)) {
		equals = strchr(text, '=');
		if (equals == NULL || equals == text) {
			(void)command_wrong(c, "--set %s is not NAME=VALUE", text);
			return false;
		}
		if (d->sets == SETS_MOST) {
			(void)command_wrong(c, "more than %d times --set", SETS_MOST);
			return false;
		}
		d->set[d->sets++] = text;
	}
	return true;
}

/* And those above it. */
static bool
make_directory(const char *dir)
{
	char   part[PATH_ROOM];
	size_t n = strlen(dir);

	for (size_t i = 1; i < n && n < sizeof part; i++)
		if (dir[i] == '/') {
			(void)bytes_string((struct bytes){ dir, i }, part, sizeof part);
			(void)mkdir(part, 0755);
		}
	return mkdir(dir, 0755) == 0 || errno == EEXIST;
}

/* DIR, absolute, made if need be.  main.cf parts its words at blanks. */
static bool
find_place(struct call *c, struct demo *d, const char *dir)
{
	char path[PATH_ROOM];

	if (!make_directory(dir) || realpath(dir, path) == NULL)
		return refuse(dir);
	if (strpbrk(path, " \t\r\n,$") != NULL || strlen(path) >= sizeof d->dir) {
		(void)fprintf(
			stderr,
			"mansio: %s: choose a directory with a name of at most %zu bytes without blanks, "
			"commas or $\n",
			path, sizeof d->dir - 1);
		return false;
	}
	(void)snprintf(d->dir, sizeof d->dir, "%.*s", (int)sizeof d->dir - 1, path);
	(void)path_in(d, "main.cf", d->config);
	(void)path_in(d, "tls/ca.pem", d->authority);
	d->call = (struct call){ .command = c->command, .config = d->config };
	return true;
}

/*
 * Files
 */

/* Nobody else has this DIR; one whose demo was killed may still be closing. */
static bool
lock_place(struct demo *d)
{
	char            path[PATH_ROOM];
	int             fd;
	int64_t         until = clock_patient_ms() + LOCK_MS;
	struct timespec pause = { 0, 20000000 };

	if ((d->lock = open(path_in(d, "lock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) < 0)
		return refuse(path);
	if (flock(d->lock, LOCK_EX | LOCK_NB) < 0) {
		(void)fprintf(stderr, "mansio: a demo is running in %s already\n", d->dir);
		return false;
	}
	(void)unlink(path_in(d, "ready", path));
	if ((fd = open(path_in(d, "mail/run/mansio.pid", path), O_RDWR | O_CLOEXEC)) < 0)
		return true;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0 && clock_patient_ms() < until)
		(void)nanosleep(&pause, NULL);
	(void)close(fd);
	return true;
}

static bool
make_certificates(struct demo *d)
{
	static const char *const us[] = { "Mansio demo CA", NULL };
	static const char *const names[] = { HOST, "localhost", "127.0.0.1", NULL };
	char          ca_key[PATH_ROOM], chain[PATH_ROOM], key[PATH_ROOM], dir[PATH_ROOM];
	struct buffer errors = { 0 };
	const struct certificate_wish authority = {
		d->authority, path_in(d, "tls/ca-key.pem", ca_key), us, true, NULL, NULL, 3650
	};
	const struct certificate_wish server = { path_in(d, "tls/" HOST ".pem", chain),
		                                 path_in(d, "tls/" HOST "-key.pem", key),
		                                 names,
		                                 false,
		                                 d->authority,
		                                 ca_key,
		                                 800 };
	bool good = mkdir(path_in(d, "tls", dir), 0755) == 0 || errno == EEXIST || refuse(dir);

	if (good && certificate_good(d->authority, ca_key, NULL) &&
	    certificate_good(chain, key, HOST))
		return true;
	good = good &&
	       (certificate_good(d->authority, ca_key, NULL) ||
	        certificate_make(&authority, &errors)) &&
	       certificate_make(&server, &errors);
	command_print(buffer_bytes(&errors), stderr);
	buffer_free(&errors);
	if (good)
		(void)printf("made a private CA and a certificate for " HOST " in %s/tls\n",
		             d->dir);
	return good;
}

/* What --password says, else what was in force, else something new. */
static bool
choose_password(struct demo *d, bool *changed)
{
	char          path[PATH_ROOM];
	struct buffer old = { 0 };
	struct bytes  before;
	bool          good = true;

	if (access(path_in(d, "password", path), F_OK) == 0)
		good = command_read(path, &old);
	before = bytes_trim(buffer_bytes(&old));
	if (d->given != NULL)
		(void)snprintf(d->password, sizeof d->password, "%s", d->given);
	else if (before.len > 0)
		(void)bytes_string(before, d->password, sizeof d->password);
	else
		random_word(d->password, 13);
	*changed = !bytes_equal(before, bytes_of(d->password));
	buffer_free(&old);
	return good;
}

static bool
save_password(const struct demo *d)
{
	char          path[PATH_ROOM];
	struct buffer text = { 0 };
	bool          good;

	buffer_printf(&text, "%s\n", d->password);
	good = write_file(path_in(d, "password", path), 0600, buffer_bytes(&text));
	buffer_free(&text);
	return good;
}

/*
 * main.cf
 */

static void
set(struct buffer *text, const char *name, const char *value)
{
	struct buffer next = { 0 };

	settings_edit(buffer_bytes(text), name, value, &next);
	buffer_free(text);
	*text = next;
}

static void
first_settings(const struct demo *d, struct buffer *text)
{
	buffer_printf(text,
	              "# The settings of this demo; main.cf(5) knows them all.  After a change:\n"
	              "#\tmansio -c %s reload\n"
	              "# What a later `mansio demo` says on its command line is set here.\n\n"
	              "myhostname = " HOST "\n"
	              "mydomain = " DOMAIN "\n"
	              "myorigin = $mydomain\n\n"
	              "# Nobody is trusted because of an address.\n"
	              "mynetworks =\n\n"
	              "# What is tried here may all come in one connection.\n"
	              "smtpd_session_message_limit = 0\n\n"
	              "mail_directory = %s/mail\n"
	              "maillog_file = %s/mail.log\n\n"
	              "smtpd_tls_cert_file = %s/tls/" HOST ".pem\n"
	              "smtpd_tls_key_file = %s/tls/" HOST "-key.pem\n\n"
	              "# Names are looked up there alone.\n"
	              "dns_resolver = none\n\n"
	              "# The services, on this machine alone.\n",
	              d->config, d->dir, d->dir, d->dir, d->dir);
}

static bool
write_settings(struct demo *d)
{
	struct buffer text = { 0 };
	char          value[PATH_ROOM], name[256];
	bool          good;

	d->fresh = access(d->config, F_OK) < 0;
	if (d->fresh)
		first_settings(d, &text);
	else if (!command_read(d->config, &text))
		return false;
	for (size_t i = 0; i < COUNT(services); i++) {
		bool lmtp = services[i].port == 24;
		(void)snprintf(value, sizeof value, "127.0.0.1:%d%s%s%s",
		               d->base + services[i].port, lmtp ? " unix:" : "", lmtp ? d->dir : "",
		               lmtp ? "/mail/run/lmtp.sock" : "");
		set(&text, services[i].setting, value);
	}
	if (d->dns != NULL)
		set(&text, "dns_resolver", d->dns);
	for (size_t i = 0; i < d->sets; i++) {
		const char *equals = strchr(d->set[i], '=');
		if (bytes_string(bytes_trim(
					 (struct bytes){ d->set[i], (size_t)(equals - d->set[i]) }),
		                 name, sizeof name))
			set(&text, name, equals + 1);
	}
	good = write_file(d->config, 0644, buffer_bytes(&text));
	buffer_free(&text);
	return good;
}

/*
 * The server
 */

static bool
ask(struct demo *d, const char *const *argv, uint32_t argc, const char *input)
{
	struct word_ask words = { argv, argc, bytes_of(input) };
	struct buffer   said = { 0 };
	int             status = command_hear(&d->call, "clerk", &words, &said);

	if (status != COMMAND_DONE && strcmp(argv[1], "show") != 0)
		command_print(buffer_bytes(&said), stderr);
	buffer_free(&said);
	return status == COMMAND_DONE;
}

static bool
make_account(struct demo *d, const char *name, bool changed)
{
	char        address[64];
	const char *show[] = { "account", "show", address };
	const char *add[] = { "account", "add", address };
	const char *password[] = { "account", "set", address, "password" };

	(void)snprintf(address, sizeof address, "%s@" DOMAIN, name);
	if (!ask(d, show, COUNT(show), NULL))
		return ask(d, add, COUNT(add), d->password);
	return !changed || ask(d, password, COUNT(password), d->password);
}

static bool
make_people(struct demo *d, bool changed)
{
	const char *show[] = { "domain", "show", DOMAIN };
	const char *add[] = { "domain", "add", DOMAIN };

	if (!ask(d, show, COUNT(show), NULL) && !ask(d, add, COUNT(add), NULL))
		return false;
	for (size_t i = 0; i < COUNT(people); i++)
		if (!make_account(d, people[i], changed))
			return false;
	if (d->fresh)
		(void)printf("made the domain " DOMAIN
		             " with jill, jack, ataylor and jsmith; joe does not exist\n");
	return !changed || save_password(d);
}

static bool
prove(struct demo *d)
{
	struct proof  p = { d->authority,   HOST,          DOMAIN,
		            d->base + 587,  d->base + 993, "jack@" DOMAIN,
		            "jill@" DOMAIN, d->password,   server_event_fd(&d->server) };
	struct buffer told = { 0 };
	bool          good = proof_make(&p, &told);

	command_print(buffer_bytes(&told), good ? stdout : stderr);
	buffer_free(&told);
	return good;
}

static bool
start(struct demo *d)
{
	int64_t           began = clock_patient_ms();
	enum server_event e;

	if (!server_start(&d->server, d->config))
		return false;
	e = server_wait(&d->server, READY_MS);
	if (e == SERVER_READY)
		(void)printf(
			"started the server: process %d, at work after %lld ms, its log is %s/mail.log\n",
			(int)d->server.pid, (long long)(clock_patient_ms() - began), d->dir);
	else if (e == SERVER_ENDED)
		(void)fprintf(
			stderr,
			"mansio: the server did not start; what is wrong stands above or in %s/mail.log\n",
			d->dir);
	else if (e == SERVER_NOTHING)
		(void)fprintf(stderr,
		              "mansio: the server is not ready after %d s; see %s/mail.log\n",
		              READY_MS / 1000, d->dir);
	return e == SERVER_READY;
}

/*
 * What other programs want to know
 */

static void env(struct buffer *b, const char *name, const char *form, ...)
	__attribute__((format(printf, 3, 4)));

static void
env(struct buffer *b, const char *name, const char *form, ...)
{
	va_list list;

	buffer_printf(b, "%s=", name);
	va_start(list, form);
	buffer_vprintf(b, form, list);
	va_end(list);
	buffer_add_char(b, '\n');
}

static bool
write_env(const struct demo *d)
{
	struct buffer b = { 0 };
	char          program[PATH_ROOM], path[PATH_ROOM];
	ssize_t       n = readlink("/proc/self/exe", program, sizeof program - 1);
	bool          good;

	program[n > 0 ? n : 0] = '\0';
	env(&b, "MANSIO_BIN", "%s", program);
	env(&b, "MANSIO_DIR", "%s", d->dir);
	env(&b, "MANSIO_CONFIG", "%s", d->config);
	env(&b, "MANSIO_PID", "%d", (int)d->server.pid);
	env(&b, "MANSIO_HOST", "127.0.0.1");
	env(&b, "MANSIO_TLS_HOST", HOST);
	for (size_t i = 0; i < COUNT(services); i++)
		env(&b, services[i].variable, "%d", d->base + services[i].port);
	env(&b, "MANSIO_CA", "%s", d->authority);
	buffer_add_string(&b, "MANSIO_USERS=");
	for (size_t i = 0; i < COUNT(people); i++)
		buffer_printf(&b, "%s%s@" DOMAIN, i > 0 ? " " : "", people[i]);
	buffer_add_char(&b, '\n');
	env(&b, "MANSIO_PASSWORD", "%s", d->password);
	good = write_file(path_in(d, "demo.env", path), 0600, buffer_bytes(&b)) &&
	       write_file(path_in(d, "ready", path), 0644, BYTES("ready\n"));
	buffer_free(&b);
	return good;
}

static void
tell_how_to_look(const struct demo *d)
{
	(void)printf("\n"
	             "  the password of all four   %s\n"
	             "  smtp 127.0.0.1:%d   submission %d (STARTTLS), %d (TLS)   lmtp %d\n"
	             "  imap 127.0.0.1:%d   imaps %d   pop3 %d   pop3s %d\n"
	             "  for other programs         %s/demo.env\n"
	             "  who works here             mansio -c %s status\n"
	             "\n"
	             "  a letter     curl --ssl-reqd --cacert %s --resolve " HOST
	             ":%d:127.0.0.1 \\\n"
	             "                 -u jack@" DOMAIN " --mail-from jack@" DOMAIN
	             " --mail-rcpt jill@" DOMAIN " \\\n"
	             "                 -T FILE smtp://" HOST ":%d\n"
	             "  the mailbox  curl --cacert %s -u jill@" DOMAIN
	             " 'imaps://127.0.0.1:%d/INBOX;MAILINDEX=1'\n\n",
	             d->password, d->base + 25, d->base + 587, d->base + 465, d->base + 24,
	             d->base + 143, d->base + 993, d->base + 110, d->base + 995, d->dir, d->config,
	             d->authority, d->base + 587, d->base + 587, d->authority, d->base + 993);
}

/* Until somebody wants us to end, or the server has. */
static int
serve(struct demo *d)
{
	enum server_event e;

	(void)printf("serving until Ctrl-C or SIGTERM\n");
	(void)fflush(stdout);
	do
		e = server_wait(&d->server, -1);
	while (e != SERVER_ENDED && e != SERVER_LEAVE);
	if (e == SERVER_ENDED && d->server.status != 0)
		(void)fprintf(stderr, "mansio: the server ended with status %d; see %s/mail.log\n",
		              d->server.status, d->dir);
	return d->server.status == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

static int
live(struct demo *d, bool changed)
{
	char path[PATH_ROOM];
	int  status = COMMAND_FAILED;

	if (start(d) && make_people(d, changed) && prove(d)) {
		status = COMMAND_DONE;
		if (!write_env(d))
			status = COMMAND_FAILED;
		else if (!d->once) {
			tell_how_to_look(d);
			status = serve(d);
		}
	}
	(void)unlink(path_in(d, "ready", path));
	if (server_stop(&d->server) != 0)
		status = COMMAND_FAILED;
	if (status == COMMAND_DONE)
		(void)printf("stopped; the mail stays in %s\n", d->dir);
	return status;
}

static int
run_demo(struct call *c)
{
	static struct demo d;
	const char        *dir = "demo";
	bool               changed;

	setlinebuf(stdout);
	(void)command_option(c, "--dir", &dir);
	d.once = command_option(c, "--once", NULL);
	(void)command_option(c, "--password", &d.given);
	if (d.given != NULL &&
	    (*d.given == '\0' || strlen(d.given) > 1000 || strpbrk(d.given, "\r\n") != NULL))
		return command_wrong(c, "--password wants a password of 1 to 1000 bytes");
	if (!take_base(c, &d) || !take_dns(c, &d) || !take_sets(c, &d))
		return COMMAND_WRONG;
	if (c->argc > 1 || *dir == '\0')
		return command_wrong(c, "demo does not know \"%s\"",
		                     c->argc > 1 ? c->argv[1] : "--dir=");
	if (!find_place(c, &d, dir) || !lock_place(&d))
		return COMMAND_FAILED;
	(void)printf("Mansio %s, a demo in %s\n", MANSIO_VERSION, d.dir);
	if (!make_certificates(&d) || !choose_password(&d, &changed) || !write_settings(&d))
		return COMMAND_FAILED;
	return live(&d, changed);
}
