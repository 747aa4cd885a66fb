/* setup -- from nothing to a server with a domain and a first account */

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "command/certificate.h"
#include "command/command.h"
#include "command/prompt.h"
#include "command/server.h"
#include "command/test-send.h"
#include "role/confine.h"

enum { PATH_ROOM = 4096, NAME_ROOM = 256, READY_MS = 60000, CERTIFICATE_DAYS = 800 };

static int run_setup(struct call *);

const struct command command_setup = {
	.name = "setup",
	.forms = "setup [--model MODEL] [--hostname HOST] [--domain DOMAIN] [--account ADDRESS] "
		 "[--password-file FILE] [OPTION]...",
	.about =
		"Makes a server ready: settings, system accounts, a certificate, the domain and the first account.",
	.more = "What is not said by an option is asked at the terminal; where there is none, the usual is taken, and "
		"there is no first account without --account. The file of settings is /etc/mansio/main.cf, or that of -c. "
		"One that is there is kept, unless --replace is said: then it stays beside the new one as main.cf.old.\n"
		"\n"
		"internet is a server with a name of its own that takes letters from everywhere. smarthost is the same for "
		"a machine whose letters to others go by the provider's. satellite has no mailboxes and listens to its own "
		"machine alone. local serves the people of this machine alone. --relayhost [mail.provider.example]:587 is where smarthost and "
		"satellite take letters to others; a login there is written as smtp_sasl_password_maps in main.cf.\n"
		"\n"
		"The certificate is signed with its own key, to begin with; --certificate FILE and --key FILE name a "
		"better one. --mail-directory DIR is where the mail lies, /var/lib/mansio if not said. As root an account "
		"of the system is made for each role, mansio-receiver and its sisters, but with --without-system-accounts. "
		"Nothing is started.\n"
		"\n"
		"--system-users gives the people of the operating system mailboxes, as useradd and passwd make them: SOMEBODY@HOST, "
		"in ~/Maildir/, with the password of passwd, asked by PAM; /etc/pam.d/mansio is written unless it is there.",
	.run = run_setup,
};

/* What each model stands for. */
static const struct model {
	const char *name;
	bool        world;     /* listens to other machines     */
	bool        boxes;     /* has a domain and accounts     */
	bool        smarthost; /* letters out go by another     */
} models[] = {
	{ "internet", true, true, false },
	{ "smarthost", true, true, true },
	{ "satellite", false, false, true },
	{ "local", false, true, false },
};

static const struct {
	const char *setting;
	int         port;
	bool        reading; /* for people who have mailboxes */
} services[] = {
	{ "listen_smtp", 25, false },         { "listen_submission", 587, false },
	{ "listen_submissions", 465, false }, { "listen_imap", 143, true },
	{ "listen_imaps", 993, true },        { "listen_pop3", 110, true },
	{ "listen_pop3s", 995, true },
};

enum option {
	MODEL,
	HOSTNAME,
	DOMAIN,
	ACCOUNT,
	PASSWORD_FILE,
	MAIL_DIRECTORY,
	CERTIFICATE,
	KEY,
	RELAYHOST,
	OPTIONS
};
static const char *const options[OPTIONS] = {
	[MODEL] = "--model",
	[HOSTNAME] = "--hostname",
	[DOMAIN] = "--domain",
	[ACCOUNT] = "--account",
	[PASSWORD_FILE] = "--password-file",
	[MAIL_DIRECTORY] = "--mail-directory",
	[CERTIFICATE] = "--certificate",
	[KEY] = "--key",
	[RELAYHOST] = "--relayhost",
};

struct setup {
	struct call        *call;
	const struct model *model;
	const char         *given[OPTIONS];
	char                domain[NAME_ROOM], host[NAME_ROOM], account[NAME_ROOM + 64];
	char                relay[NAME_ROOM];
	char                mail[PATH_ROOM], parent[PATH_ROOM];
	char                certificate[PATH_ROOM], key[PATH_ROOM];
	struct buffer       password;
	bool                asking, system_accounts, system_users, replace;
};

static bool
refuse(const char *path)
{
	(void)fprintf(stderr, "mansio: %s: %s\n", path, strerror(errno));
	return false;
}

static bool
wrong(const char *what, const char *value, const char *right)
{
	(void)fprintf(stderr, "mansio: %s \"%s\": right would be %s\n", what, value, right);
	return false;
}

/*
 * What is wanted
 */

/* An option, else the answer of a person, else the usual. */
static bool
want(struct setup *s, enum option o, const char *question, const char *usual, char *out,
     size_t room)
{
	struct buffer answer = { 0 };
	bool          good = true;

	if (s->given[o] != NULL)
		buffer_add_string(&answer, s->given[o]);
	else if (s->asking)
		good = prompt_line(question, usual, &answer);
	else
		buffer_add_string(&answer, usual);
	if (good && !bytes_string(bytes_trim(buffer_bytes(&answer)), out, room))
		good = wrong(options[o], "...", "something shorter");
	buffer_free(&answer);
	return good;
}

/* rfc1123:2.1, and a dot: a name the world can find. */
static bool
is_name(const char *name)
{
	size_t n = strlen(name);

	return n > 2 && n < 254 && strchr(name, '.') != NULL && name[0] != '.' && name[0] != '-' &&
	       name[n - 1] != '.' && strstr(name, "..") == NULL &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") ==
	               n;
}

static bool
want_model(struct setup *s)
{
	char name[NAME_ROOM];

	if (!want(s, MODEL, "internet, smarthost, satellite or local", "internet", name,
	          sizeof name))
		return false;
	for (size_t i = 0; i < COUNT(models); i++)
		if (strcmp(models[i].name, name) == 0)
			s->model = &models[i];
	return s->model != NULL ||
	       wrong("--model", name, "internet, smarthost, satellite or local");
}

static bool
want_names(struct setup *s)
{
	char        usual[NAME_ROOM + 8] = "";
	const char *dot;

	if (gethostname(usual, NAME_ROOM - 1) < 0 || !is_name(usual))
		(void)snprintf(usual, sizeof usual, "mail.example.com");
	if (!want(s, HOSTNAME, "The name of this machine in the world", usual, s->host,
	          sizeof s->host))
		return false;
	if (!is_name(s->host))
		return wrong("--hostname", s->host, "a whole name, as mail.example.com");
	dot = strchr(s->host, '.') + 1;
	(void)snprintf(usual, sizeof usual, "%s", strchr(dot, '.') != NULL ? dot : s->host);
	if (!want(s, DOMAIN, "The domain behind the @", usual, s->domain, sizeof s->domain))
		return false;
	return is_name(s->domain) || wrong("--domain", s->domain, "a domain, as example.com");
}

/* Where letters to others go; those of a smarthost or satellite must go somewhere. */
static bool
want_relay(struct setup *s)
{
	if (!s->model->smarthost && s->given[RELAYHOST] == NULL)
		return true;
	if (!want(s, RELAYHOST, "The host that takes letters to others", "", s->relay,
	          sizeof s->relay))
		return false;
	return strpbrk(s->relay, " \t\n#$") == NULL ||
	       wrong("--relayhost", s->relay, "[mail.provider.example]:587");
}

static bool
want_account(struct setup *s)
{
	char        usual[NAME_ROOM + 64] = "", name[NAME_ROOM];
	const char *user = getenv("SUDO_USER");

	if (!s->model->boxes)
		return true;
	if (s->asking)
		(void)snprintf(usual, sizeof usual, "%s@%s", user != NULL ? user : "postmaster",
		               s->domain);
	if (!want(s, ACCOUNT, "The first account", usual, s->account, sizeof s->account))
		return false;
	if (s->account[0] == '\0')
		return true;
	if (strchr(s->account, '@') == NULL) {
		(void)bytes_string(bytes_of(s->account), name, sizeof name);
		(void)snprintf(s->account, sizeof s->account, "%.60s@%.250s", name, s->domain);
	}
	return prompt_password(s->given[PASSWORD_FILE], "Its password", &s->password);
}

static bool
want_places(struct setup *s)
{
	const char *slash = strrchr(s->call->config, '/');

	(void)snprintf(s->parent, sizeof s->parent, "%.*s", (int)(slash - s->call->config),
	               s->call->config);
	if (!want(s, MAIL_DIRECTORY, "Where the mail lies", "/var/lib/mansio", s->mail, 2048))
		return false;
	if (s->mail[0] != '/' || strpbrk(s->mail, " \t\n$,") != NULL)
		return wrong("--mail-directory", s->mail,
		             "an absolute path without blanks, as /var/lib/mansio");
	if (s->given[CERTIFICATE] != NULL) {
		(void)snprintf(s->certificate, sizeof s->certificate, "%s", s->given[CERTIFICATE]);
		(void)snprintf(s->key, sizeof s->key, "%s", s->given[KEY]);
		return certificate_good(s->certificate, s->key, s->host) ||
		       wrong("--certificate", s->certificate,
		             "a certificate for the name of this machine, and its key");
	}
	(void)snprintf(s->certificate, sizeof s->certificate, "%.2000s/tls/%s.pem", s->parent,
	               s->host);
	(void)snprintf(s->key, sizeof s->key, "%.2000s/tls/%s-key.pem", s->parent, s->host);
	return true;
}

/*
 * System accounts
 */

static bool
run_program(const char *const *argv)
{
	int   status;
	pid_t pid;

	(void)fflush(stdout);
	if ((pid = fork()) == 0) {
		(void)execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static bool
make_system_accounts(void)
{
	const struct common_settings common = { .mail_owner = "mansio" };
	char                         name[64];
	const char                  *argv[] = {
				 "/usr/sbin/useradd", "--system",           "--user-group", "--no-create-home",
				 "--home-dir",        "/nonexistent",       "--shell",      "/usr/sbin/nologin",
				 "--comment",         "Mansio mail server", name,           NULL
	};
	int made = 0;

	for (enum role role = POSTMASTER + 1; role < COMMAND; role++) {
		role_account_name(role, &common, name);
		if (getpwnam(name) != NULL)
			continue;
		if (!run_program(argv)) {
			(void)fprintf(stderr, "mansio: useradd did not make the account %s\n",
			              name);
			return false;
		}
		made++;
	}
	if (made > 0)
		(void)printf("made %d accounts of the system for the roles\n", made);
	return true;
}

/*
 * Files
 */

static bool
make_directory(const char *path, mode_t mode)
{
	char part[PATH_ROOM];

	for (size_t i = 1; path[i] != '\0' && i < sizeof part; i++)
		if (path[i] == '/' && bytes_string((struct bytes){ path, i }, part, sizeof part))
			(void)mkdir(part, 0755);
	return mkdir(path, mode) == 0 || errno == EEXIST || refuse(path);
}

static bool
make_certificate(struct setup *s)
{
	const char *const             names[] = { s->host, s->domain, NULL };
	const struct certificate_wish wish = { s->certificate, s->key, names,           false,
		                               NULL,           NULL,   CERTIFICATE_DAYS };
	struct buffer                 errors = { 0 };
	char                          path[PATH_ROOM];
	bool                          good;

	if (s->given[CERTIFICATE] != NULL || certificate_good(s->certificate, s->key, s->host))
		return true;
	(void)snprintf(path, sizeof path, "%.4000s/tls", s->parent);
	good = make_directory(path, 0755) && certificate_make(&wish, &errors);
	command_print(buffer_bytes(&errors), stderr);
	buffer_free(&errors);
	if (good)
		(void)printf("made a certificate for %s, signed with its own key: %s\n", s->host,
		             s->certificate);
	return good;
}

/* The one door of the house in its first moment, for the probes of relay_refused(). */
static const char *
door_of(const struct setup *s, char path[static PATH_ROOM])
{
	(void)snprintf(path, PATH_ROOM, "%.4000s/run/setup.sock", s->mail);
	return path;
}

/* Open to us alone; whoever comes is who it says it is, and no names are looked up. */
static void
write_door(const struct setup *s, struct buffer *text)
{
	char path[PATH_ROOM];

	buffer_printf(text,
	              "listen_smtp = unix:%s\nsmtp/listener_mode = 0600\n"
	              "smtpd_upstream_proxy_protocol = haproxy\nsmtpd_peername_lookup = no\n",
	              door_of(s, path));
}

/* `closed`: the same house with its doors shut, for the first account. */
static void
write_settings(const struct setup *s, bool closed, struct buffer *text)
{
	buffer_printf(
		text,
		"# The settings of Mansio, as `mansio setup --model %s` wrote them; main.cf(5) knows\n"
		"# them all.  `mansio config check` reads this file as the server will, and\n"
		"# `mansio reload` makes the running one take it up.\n\n"
		"myhostname = %s\nmydomain = %s\nmyorigin = $mydomain\n\n"
		"mail_directory = %s\n",
		s->model->name, s->host, s->domain, s->mail);
	if (closed)
		buffer_printf(text, "maillog_file = %s.setup.log\n", s->call->config);
	buffer_printf(text, "\nsmtpd_tls_cert_file = %s\nsmtpd_tls_key_file = %s\n", s->certificate,
	              s->key);
	buffer_add_string(text, "smtp_tls_security_level = may\n");
	if (s->relay[0] != '\0')
		buffer_printf(text, "\n# Letters to others.\nrelayhost = %s\n", s->relay);
	if (s->system_users)
		buffer_add_string(text,
		                  "\n# The people of the operating system.\n"
		                  "mydestination = $myhostname, localhost.$mydomain, localhost\n"
		                  "home_mailbox = Maildir/\nauth_backends = directory pam\n");
	if (!closed && s->model->world && s->model->boxes)
		buffer_add_string(
			text,
			"\n# Thunderbird and Outlook find this server by themselves: they ask at ports 80 and\n"
			"# 443 of autoconfig.DOMAIN and autodiscover.DOMAIN.  Leave it out where a web server\n"
			"# is to have these ports.\nautoconfig = yes\n");
	if (closed || !s->model->world)
		buffer_add_string(text, closed ? "\n" : "\n# This machine alone.\n");
	if (closed)
		write_door(s, text);
	for (size_t i = closed; i < COUNT(services) && (closed || !s->model->world); i++) {
		if (closed || (services[i].reading && !s->model->boxes))
			buffer_printf(text, "%s =\n", services[i].setting);
		else
			buffer_printf(text, "%s = 127.0.0.1:%d [::1]:%d\n", services[i].setting,
			              services[i].port, services[i].port);
	}
}

static bool
write_file(const char *path, struct bytes text)
{
	int  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool good;

	if (fd < 0)
		return refuse(path);
	good = write(fd, text.at, text.len) == (ssize_t)text.len && fsync(fd) == 0;
	return (close(fd) == 0 && good) || refuse(path);
}

/* What PAM is to do for us, by the lists of this system's distribution.  An administrator's file stays. */
static bool
make_pam_service(void)
{
	static const char path[] = "/etc/pam.d/mansio";
	static const struct {
		const char *sign, *text;
	} kinds[] = {
		{ "/etc/pam.d/common-auth",
		  "@include common-auth\n"
		  "account  required  pam_nologin.so\n@include common-account\n" },
		{ "/etc/pam.d/password-auth",
		  "auth     include   password-auth\n"
		  "account  required  pam_nologin.so\naccount  include   password-auth\n" },
		{ "/etc/pam.d",
		  "auth     required  pam_unix.so\n"
		  "account  required  pam_nologin.so\naccount  required  pam_unix.so\n" },
	};
	struct buffer text = { 0 };
	size_t        k = 0;
	bool          good;

	if (access(path, F_OK) == 0) {
		(void)printf("%s is there already and stays as it is\n", path);
		return true;
	}
	while (k + 1 < COUNT(kinds) && access(kinds[k].sign, F_OK) < 0)
		k++;
	buffer_printf(&text,
	              "# What mansio asks when auth_backends names pam.\n%s"
	              "session  required  pam_permit.so\n",
	              kinds[k].text);
	good = write_file(path, buffer_bytes(&text));
	buffer_free(&text);
	if (good)
		(void)printf("wrote %s\n", path);
	return good;
}

static bool
write_config(const struct setup *s, bool closed, const char *path)
{
	struct buffer text = { 0 };
	bool          good;

	write_settings(s, closed, &text);
	good = write_file(path, buffer_bytes(&text));
	buffer_free(&text);
	return good;
}

static bool
make_config(const struct setup *s)
{
	const char *config = s->call->config;
	char        old[PATH_ROOM];

	if (access(config, F_OK) == 0) {
		(void)snprintf(old, sizeof old, "%.4000s.old", config);
		if (rename(config, old) < 0)
			return refuse(old);
		(void)printf("kept the settings from before as %s\n", old);
	}
	if (!write_config(s, false, config))
		return false;
	(void)printf("wrote %s\n", config);
	return true;
}

/*
 * The domain and the first account
 */

static bool
ask(struct call *c, const char *const *argv, uint32_t argc, struct bytes input)
{
	struct word_ask words = { argv, argc, input };
	struct buffer   said = { 0 };
	bool            good = command_hear(c, "clerk", &words, &said) == COMMAND_DONE;

	/* It may be there from a setup before. */
	if (!good && bytes_search(buffer_bytes(&said), BYTES("is there already")) >= 0)
		good = true;
	if (!good)
		command_print(buffer_bytes(&said), stderr);
	buffer_free(&said);
	return good;
}

static bool
make_people(const struct setup *s, struct call *c)
{
	const char *domain[] = { "domain", "add", s->domain };
	const char *account[] = { "account", "add", s->account };

	if (!ask(c, domain, COUNT(domain), (struct bytes){ NULL, 0 }))
		return false;
	(void)printf("the domain %s is ours\n", s->domain);
	if (s->account[0] == '\0')
		return true;
	if (!ask(c, account, COUNT(account), buffer_bytes(&s->password)))
		return false;
	(void)printf("%s has an account\n", s->account);
	return true;
}

/* What would be a relay for strangers is not set up. */
static bool
is_no_relay(const struct setup *s)
{
	char path[PATH_ROOM];

	if (relay_refused(door_of(s, path), s->domain))
		return true;
	(void)fprintf(
		stderr,
		"mansio: strangers may not send letters to others by this server; nothing is set up\n");
	return false;
}

/* Through a server of a moment, whose doors are shut. */
static bool
open_for_a_moment(const struct setup *s)
{
	char          path[PATH_ROOM], log[PATH_ROOM], door[PATH_ROOM];
	struct call   c = { .command = s->call->command, .config = path };
	struct server server;
	struct buffer said = { 0 };
	bool          good;

	(void)snprintf(path, sizeof path, "%.4000s.setup", s->call->config);
	(void)snprintf(log, sizeof log, "%.4000s.setup.log", s->call->config);
	if (!write_config(s, true, path))
		return false;
	good = server_start(&server, path) && server_wait(&server, READY_MS) == SERVER_READY;
	good = good && (!s->model->boxes || make_people(s, &c)) && is_no_relay(s);
	good = server_stop(&server) == 0 && good;
	(void)unlink(path);
	(void)unlink(door_of(s, door));
	if (!good) {
		(void)fprintf(stderr, "mansio: the first start did not go well; its log says:\n");
		if (command_read(log, &said))
			(void)fwrite(said.at, 1, said.len, stderr);
		buffer_free(&said);
	}
	(void)unlink(log);
	return good;
}

/*
 * What is next
 */

static void
tell_record(const char *under, const char *name, const char *record)
{
	char whole[NAME_ROOM + 32];

	(void)snprintf(whole, sizeof whole, "%s%s.", under, name);
	(void)printf("  %-36s %s\n", whole, record);
}

static void
tell_dns(const struct setup *s)
{
	char record[NAME_ROOM + 80];

	(void)printf("\nThe world finds it by these records; ask whoever keeps the zone of %s:\n\n",
	             s->domain);
	tell_record("", s->host, "A    (the address of this machine; AAAA too if it has one)");
	(void)snprintf(record, sizeof record, "MX   10 %s.", s->host);
	tell_record("", s->domain, record);
	tell_record("", s->domain, "TXT  \"v=spf1 mx -all\"");
	(void)snprintf(record, sizeof record, "TXT  \"v=DMARC1; p=none; rua=mailto:postmaster@%s\"",
	               s->domain);
	tell_record("_dmarc.", s->domain, record);
	(void)snprintf(record, sizeof record, "SRV  0 1 465 %s.", s->host);
	tell_record("_submissions._tcp.", s->domain, record);
	(void)snprintf(record, sizeof record, "SRV  0 1 993 %s.", s->host);
	tell_record("_imaps._tcp.", s->domain, record);
	(void)snprintf(record, sizeof record, "CNAME %s.", s->host);
	tell_record("autoconfig.", s->domain, record);
	tell_record("autodiscover.", s->domain, record);
	(void)printf("\nand the address of this machine should lead back to %s (PTR).\n", s->host);
}

static void
tell_next(const struct setup *s)
{
	bool usual = strcmp(s->call->config, "/etc/mansio/main.cf") == 0;

	(void)printf("\nStart it:           ");
	if (usual)
		(void)printf("systemctl enable --now mansio     (or: mansio run)\n");
	else
		(void)printf("mansio -c %s run\n", s->call->config);
	if (s->model->boxes)
		(void)printf("More people:        mansio account add SOMEBODY@%s\n", s->domain);
	if (s->given[CERTIFICATE] == NULL)
		(void)printf("A certificate that others trust: name it in %s, then mansio reload\n"
		             "                    (smtpd_tls_cert_file, smtpd_tls_key_file)\n",
		             s->call->config);
	if (s->model->smarthost && s->relay[0] == '\0')
		(void)printf(
			"Letters to others:   name the host that takes them: relayhost in %s\n",
			s->call->config);
	if (s->model->world)
		tell_dns(s);
}

static bool
want_all(struct setup *s)
{
	if ((s->given[CERTIFICATE] == NULL) != (s->given[KEY] == NULL))
		return wrong("--certificate",
		             s->given[CERTIFICATE] == NULL ? "" : s->given[CERTIFICATE],
		             "--certificate FILE and --key FILE together");
	if (access(s->call->config, F_OK) == 0 && !s->replace) {
		(void)fprintf(
			stderr,
			"mansio: %s is there already and stays as it is; --replace writes a new one\n",
			s->call->config);
		return false;
	}
	return want_model(s) && want_names(s) && want_relay(s) && want_places(s) && want_account(s);
}

static int
run_setup(struct call *c)
{
	struct setup s = { .call = c, .asking = isatty(STDIN_FILENO) };
	bool         good;

	for (int i = 1; i < c->argc; i++)
		if (strcmp(c->argv[i], "--password") == 0 ||
		    strncmp(c->argv[i], "--password=", 11) == 0)
			return command_wrong(
				c, "a password is no argument, ps would show it to everybody; "
				   "write it to a file for --password-file");
	for (enum option o = 0; o < OPTIONS; o++)
		(void)command_option(c, options[o], &s.given[o]);
	s.replace = command_option(c, "--replace", NULL);
	s.system_accounts = !command_option(c, "--without-system-accounts", NULL) && geteuid() == 0;
	s.system_users = command_option(c, "--system-users", NULL);
	if (s.system_users && geteuid() != 0)
		return command_wrong(c,
		                     "--system-users is for root: a keeper has the uid of whom it "
		                     "serves, and PAM's modules want to be root");
	if (c->argc > 1)
		return command_wrong(c, "setup does not know \"%s\"", c->argv[1]);
	setlinebuf(stdout);
	good = want_all(&s) && make_directory(s.parent, 0755) &&
	       (!s.system_accounts || make_system_accounts()) &&
	       (!s.system_users || make_pam_service()) && make_certificate(&s) &&
	       open_for_a_moment(&s) && make_config(&s);
	prompt_forget(&s.password);
	if (good)
		tell_next(&s);
	return good ? COMMAND_DONE : COMMAND_FAILED;
}
