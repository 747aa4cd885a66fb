#include "guide/client.h"

/* What each protocol is called. */
static const struct {
	const char *element, *mozilla, *outlook, *words;
} names[] = {
	[CLIENT_IMAP] = { "incomingServer", "imap", "IMAP", "IMAP, to read" },
	[CLIENT_POP3] = { "incomingServer", "pop3", "POP3", "POP3, to fetch" },
	[CLIENT_SMTP] = { "outgoingServer", "smtp", "SMTP", "SMTP, to send" },
};

/* The best first: programs take the first that they know, and tokens need more of them than we can tell. */
static const struct {
	unsigned    way;
	const char *mozilla;
} ways[] = {
	{ CLIENT_PASSWORD, "password-cleartext" }, /* within TLS */
	{ CLIENT_TOKEN, "OAuth2" },
	{ CLIENT_KERBEROS, "GSSAPI" },
};

void
client_add_xml(struct bytes text, struct buffer *out)
{
	for (size_t i = 0; i < text.len; i++)
		switch (text.at[i]) {
		case '&': buffer_add_string(out, "&amp;"); break;
		case '<': buffer_add_string(out, "&lt;"); break;
		case '>': buffer_add_string(out, "&gt;"); break;
		case '"': buffer_add_string(out, "&quot;"); break;
		case '\'': buffer_add_string(out, "&apos;"); break;
		default: buffer_add_char(out, text.at[i]);
		}
}

static void
add_mozilla(const struct client_facts *f, const struct client_server *s, struct buffer *out)
{
	buffer_printf(out,
	              "    <%s type=\"%s\">\n"
	              "      <hostname>%s</hostname>\n"
	              "      <port>%u</port>\n"
	              "      <socketType>%s</socketType>\n"
	              "      <username>%%EMAILADDRESS%%</username>\n",
	              names[s->protocol].element, names[s->protocol].mozilla, f->host, s->port,
	              s->tls_first ? "SSL" : "STARTTLS");
	for (size_t i = 0; i < COUNT(ways); i++)
		if ((s->ways & ways[i].way) != 0)
			buffer_printf(out, "      <authentication>%s</authentication>\n",
			              ways[i].mozilla);
	buffer_printf(out, "    </%s>\n", names[s->protocol].element);
}

void
client_mozilla(const struct client_facts *f, struct bytes domain, struct buffer *out)
{
	int n = (int)domain.len;

	buffer_printf(out,
	              "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	              "<clientConfig version=\"1.1\">\n"
	              "  <emailProvider id=\"%.*s\">\n"
	              "    <domain>%.*s</domain>\n"
	              "    <displayName>%.*s</displayName>\n"
	              "    <displayShortName>%.*s</displayShortName>\n",
	              n, domain.at, n, domain.at, n, domain.at, n, domain.at);
	for (size_t i = 0; i < f->servers; i++)
		add_mozilla(f, &f->server[i], out);
	buffer_add_string(out, "  </emailProvider>\n</clientConfig>\n");
}

/* It knows passwords alone.  Of each protocol the first is told: the others are there for who cannot do TLS at once. */
static void
add_outlook(const struct client_facts *f, const struct client_server *s, struct bytes address,
            struct buffer *out)
{
	buffer_printf(out,
	              "      <Protocol>\n"
	              "        <Type>%s</Type>\n"
	              "        <Server>%s</Server>\n"
	              "        <Port>%u</Port>\n"
	              "        <DomainRequired>off</DomainRequired>\n"
	              "        <LoginName>",
	              names[s->protocol].outlook, f->host, s->port);
	client_add_xml(address, out);
	buffer_printf(out,
	              "</LoginName>\n"
	              "        <SPA>off</SPA>\n"
	              "        <SSL>%s</SSL>\n"
	              "        <Encryption>%s</Encryption>\n"
	              "        <AuthRequired>on</AuthRequired>\n"
	              "%s"
	              "      </Protocol>\n",
	              s->tls_first ? "on" : "off", s->tls_first ? "SSL" : "TLS",
	              s->protocol == CLIENT_SMTP ? "        <UsePOPAuth>off</UsePOPAuth>\n"
	                                           "        <SMTPLast>off</SMTPLast>\n"
	                                         : "");
}

void
client_outlook(const struct client_facts *f, struct bytes address, struct buffer *out)
{
	unsigned told = 0;

	buffer_add_string(
		out,
		"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
		"<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006\">\n"
		"  <Response xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a\">\n"
		"    <Account>\n"
		"      <AccountType>email</AccountType>\n"
		"      <Action>settings</Action>\n");
	for (size_t i = 0; i < f->servers; i++) {
		const struct client_server *s = &f->server[i];

		if ((s->ways & CLIENT_PASSWORD) == 0 || (told & 1U << s->protocol) != 0)
			continue;
		told |= 1U << s->protocol;
		add_outlook(f, s, address, out);
	}
	buffer_add_string(out, "    </Account>\n  </Response>\n</Autodiscover>\n");
}

void
client_words(const struct client_facts *f, struct bytes domain, struct buffer *out)
{
	unsigned all = 0;

	buffer_printf(out, "Mail programs of people at %.*s:\n\n", (int)domain.len, domain.at);
	for (size_t i = 0; i < f->servers; i++) {
		const struct client_server *s = &f->server[i];

		buffer_printf(out, "  %-16s %s   port %-5u %s\n", names[s->protocol].words, f->host,
		              s->port, s->tls_first ? "SSL/TLS" : "STARTTLS");
		all |= s->ways;
	}
	buffer_add_string(out, "\n  The name to log in with is the whole mail address");
	if ((all & CLIENT_PASSWORD) != 0)
		buffer_add_string(out, "; the way is a normal password");
	if ((all & CLIENT_TOKEN) != 0)
		buffer_printf(out, "%s OAuth2",
		              (all & CLIENT_PASSWORD) != 0 ? ", or" : "; the way is");
	if ((all & CLIENT_KERBEROS) != 0)
		buffer_printf(out, "%s Kerberos (GSSAPI)",
		              (all & (CLIENT_PASSWORD | CLIENT_TOKEN)) != 0 ? ", or"
		                                                            : "; the way is");
	buffer_add_string(out, ".\n");
}
