#include "unit.h"

#include <string.h>

#include "base/buffer.h"
#include "base/service_line.h"
#include "base/setting.h"

struct line_case {
	const char       *why, *entry;
	enum service_kind kind;
	const char       *said; /* the settings, one a line */
};
/* The entries are those of Debian's master.cf, of Postfix's READMEs and of the tutorials. */
static const struct line_case lines[] = {
	{ "the listener there always is", "smtp inet n - y - - smtpd", SERVICE_LISTENER,
	  "listen_smtp = *:25\n" },
	{ "its options are its own",
	  "submission inet n - y - - smtpd -o smtpd_tls_security_level=encrypt -o syslog_name=postfix/submission",
	  SERVICE_LISTENER,
	  "listen_submission = *:587\nsubmission/smtpd_tls_security_level = encrypt\nsubmission/syslog_name = postfix/submission\n" },
	{ "an option in braces has blanks",
	  "587 inet n - y - - smtpd -o { smtpd_client_restrictions = permit_sasl_authenticated, reject }",
	  SERVICE_LISTENER,
	  "listen_submission = *:587\nsubmission/smtpd_client_restrictions = permit_sasl_authenticated, reject\n" },
	{ "smtps is submissions", "smtps inet n - y - - smtpd -o smtpd_tls_wrappermode=yes",
	  SERVICE_LISTENER, "listen_submissions = *:465\n" },
	{ "at an address", "[::1]:submission inet n - y - - smtpd", SERVICE_LISTENER,
	  "listen_submission = [::1]:587\n" },
	{ "where amavis gives letters back",
	  "localhost:10025 inet n - - - - smtpd -o content_filter= -o mynetworks=127.0.0.0/8",
	  SERVICE_LISTENER,
	  "port10025/listener_service = smtp\nport10025/listener_address = 127.0.0.1:10025\nport10025/content_filter = \n"
	  "port10025/mynetworks = 127.0.0.0/8\n" },
	{ "TLS first, at another port", "10465 inet n - n - - smtpd -o smtpd_tls_wrappermode=yes",
	  SERVICE_LISTENER,
	  "port10465/listener_service = submissions\nport10465/listener_address = *:10465\n" },
	{ "postscreen", "smtp inet n - y - 1 postscreen", SERVICE_LISTENER,
	  "listen_smtp = *:25\npostscreen_enable = yes\n" },
	{ "a pipe",
	  "dovecot unix - n n - - pipe flags=DRhu user=vmail:vmail argv=/usr/lib/dovecot/deliver -f ${sender} -d ${recipient}",
	  SERVICE_TRANSPORT,
	  "dovecot/transport = pipe flags=DRhu user=vmail:vmail argv=/usr/lib/dovecot/deliver -f ${sender} -d ${recipient}\n" },
	{ "a pipe of two at once",
	  "procmail unix - n n - 2 pipe -o flags=R user=vmail argv=/usr/bin/procmail -t",
	  SERVICE_TRANSPORT,
	  "procmail/transport = pipe flags=R user=vmail argv=/usr/bin/procmail -t\nprocmail_destination_concurrency_limit = 2\n" },
	{ "a pipe that is told nothing", "x unix - n n - - pipe", SERVICE_TRANSPORT,
	  "x/transport = pipe\n" },
	{ "to amavis",
	  "smtp-amavis unix - - - - 2 smtp -o smtp_data_done_timeout=1200 -o syslog_name=x",
	  SERVICE_TRANSPORT,
	  "smtp-amavis/transport = smtp\nsmtp-amavis_destination_concurrency_limit = 2\nsmtp-amavis/smtp_data_done_timeout = 1200\n" },
	{ "options of one there always is",
	  "relay unix - - y - - smtp -o smtp_helo_timeout=5 -o smtp_connect_timeout=5",
	  SERVICE_TRANSPORT, "relay/smtp_helo_timeout = 5\nrelay/smtp_connect_timeout = 5\n" },
	{ "and nothing of its own",
	  "relay unix - - y - - smtp -o syslog_name=postfix/$service_name", SERVICE_INSIDE, "" },
	{ "lmtp of another name", "dovecot-lmtp unix - - n - - lmtp", SERVICE_TRANSPORT,
	  "dovecot-lmtp/transport = lmtp\n" },
	{ "what is inside", "tlsmgr unix - - y 1000? 1 tlsmgr", SERVICE_INSIDE, "" },
	{ "a datagram socket", "postlog unix-dgram n - n - 1 postlogd", SERVICE_INSIDE, "" },
	{ "a program for each connection",
	  "policyd-spf unix - n n - 0 spawn user=policyd-spf argv=/usr/bin/policyd-spf",
	  SERVICE_PROGRAM, "" },
	{ "tabs", "smtp\tinet\tn\t-\ty\t-\t-\tsmtpd", SERVICE_LISTENER, "listen_smtp = *:25\n" },
	{ "an option without a value, one without a name, a word that is none",
	  "smtp inet n - y - - smtpd -v -o a -o =b -o a=b c -o d=e", SERVICE_LISTENER,
	  "listen_smtp = *:25\nsmtp/a = b\n" },
	{ "a brace that stays open", "smtp inet n - y - - smtpd -o { a = b", SERVICE_LISTENER,
	  "listen_smtp = *:25\nsmtp/{ a = b\n" },
};

static void
test_what_entries_become(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct arena       *a = arena_open(NULL);
		struct service_line s;
		struct buffer       said = { 0 };

		HOLDS(lines[i].why, service_line_read(bytes_of(lines[i].entry), a, &s));
		HOLDS(lines[i].why, s.kind == lines[i].kind);
		HOLDS(lines[i].why,
		      (s.kind == SERVICE_INSIDE || s.kind == SERVICE_PROGRAM) == (*s.note != '\0'));
		for (size_t p = 0; p < s.pairs; p++)
			buffer_printf(&said, "%s = %s\n", s.pair[p].name, s.pair[p].value);
		SAME(lines[i].why, buffer_bytes(&said), bytes_of(lines[i].said));
		buffer_free(&said);
		arena_close(&a);
	}
}

static void
test_what_is_no_entry(void **state)
{
	static const char *const none[][2] = {
		{ "nothing", "" },
		{ "a setting", "myhostname = mail.example.com" },
		{ "a setting with many words", "mynetworks = 10.0.0.0/8 unix n n n - - smtpd" },
		{ "another type", "smtp tcp n - y - - smtpd" },
		{ "no command", "smtp inet n - y - -" },
		{ "a column that is no flag", "smtp inet yes - y - - smtpd" },
		{ "a column that is no number", "smtp inet n - y x - smtpd" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(none); i++)
		HOLDS(none[i][0], !service_line_begins(bytes_of(none[i][1])));
}

static void
test_a_main_cf_with_such_lines(void **state)
{
	struct buffer errors = { 0 }, warnings = { 0 };
	(void)state;

	HOLDS("it is refused",
	      settings_read(
		      BYTES("myhostname = a\nmaildrop unix - n n - - pipe\n  flags=R user=v\n# of it\n  argv=/bin/x\ncleanup unix n - y - 0 cleanup\nb = c\n"),
		      "main.cf", &errors, &warnings) == NULL);
	SAME("with the line, and what to write", buffer_bytes(&errors),
	     bytes_of(
		     "main.cf:2: \"maildrop\" is a service of a master.cf, which there is none of here: write in its place\n"
		     "maildrop/transport = pipe flags=R user=v argv=/bin/x\n"
		     "main.cf:6: \"cleanup\" is a service of a master.cf, which there is none of here: it is part of the server; take these lines away\n"));
	buffer_free(&errors);
	buffer_free(&warnings);
}

static void
test_none_of_many_options_is_lost(void **state)
{
	struct buffer       entry = { 0 };
	struct arena       *a = arena_open(NULL);
	struct service_line s;
	(void)state;

	buffer_add_string(&entry, "smtp inet n - y - - smtpd");
	for (int i = 0; i < 20000; i++)
		buffer_printf(&entry, " -o a%d=b", i);
	HOLDS("it is read", service_line_read(buffer_bytes(&entry), a, &s));
	HOLDS("the listener, and all of them", s.pairs == 20001);
	SAME("the last, too", bytes_of(s.pair[20000].name), BYTES("smtp/a19999"));
	buffer_free(&entry);
	arena_close(&a);
}

UNIT(test_what_entries_become, test_what_is_no_entry, test_a_main_cf_with_such_lines,
     test_none_of_many_options_is_lost)
