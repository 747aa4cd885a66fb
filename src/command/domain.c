/* domain -- the domains whose mail is ours */

#include <string.h>

#include "command/client-settings.h"
#include "command/command.h"

static int run_domain(struct call *);

const struct command command_domain = {
	.name = "domain",
	.forms =
		"domain add DOMAIN\n"
		"domain list [--json]\n"
		"domain show DOMAIN [--json]\n"
		"domain set DOMAIN catch-all ADDRESS|none\n"
		"domain set DOMAIN --quota-storage SIZE|none|default --quota-messages N|none|default\n"
		"domain set DOMAIN --total-storage SIZE|none --total-messages N|none\n"
		"domain set DOMAIN --mail-location LOCATION|log|default\n"
		"domain client-settings DOMAIN [--xml | --outlook ADDRESS] [--host NAME]\n"
		"domain delete DOMAIN",
	.about = "Adds, shows and removes the domains whose mail is delivered here.",
	.more = "A catch-all gets what comes for names the domain does not have. A domain that still has accounts "
		"or aliases is not deleted.\n"
		"\n"
		"--quota-storage and --quota-messages bound what each account of the domain may hold that says nothing of its own. "
		"--total-storage and --total-messages bound what all its accounts may hold together; show says how much they hold. Who is over keeps "
		"what is there, and gets no more. "
		"--mail-location says where those of them lie that have no mail yet, as maildir:/var/vmail/%d/%n; log is the letter log, default "
		"what main.cf says.\n"
		"\n"
		"client-settings says what to enter into mail programs of the domain's people: of the listeners those with TLS that take logins. The host is NAME, autoconfig_host, or what the "
		"certificate has. --xml prints the file that Thunderbird and others look for at http://autoconfig.DOMAIN/mail/config-v1.1.xml, --outlook what "
		"Outlook is answered at https://autodiscover.DOMAIN/autodiscover/autodiscover.xml, for who has a web server of their own; with autoconfig = yes this server answers both itself.",
	.run = run_domain,
};

static int
run_domain(struct call *c)
{
	if (c->argc < 2)
		return command_wrong(c, "domain wants a word behind it");
	if (strcmp(c->argv[1], "client-settings") == 0)
		return client_settings_run(c);
	return command_ask(c, "clerk", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}
