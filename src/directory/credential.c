#include "directory/credential.h"
#include <string.h>

const char *const credential_kind_names[CREDENTIAL_KINDS] = {
	[CREDENTIAL_DIRECTORY] = "directory",
	[CREDENTIAL_PASSWD_FILE] = "passwd-file",
	[CREDENTIAL_PAM] = "pam",
	[CREDENTIAL_SQL] = "sql",
	[CREDENTIAL_LDAP] = "ldap",
	[CREDENTIAL_SASLAUTHD] = "saslauthd",
	[CREDENTIAL_DOVECOT] = "dovecot",
};

static bool
service_valid(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		      (*c >= '0' && *c <= '9') || *c == '-' || *c == '_'))
			return false;
	return *name != '\0';
}

const char *
credential_backend_parse(const char *word, struct credential_backend *out)
{
	const char *colon = strchr(word, ':');
	size_t      n = colon != NULL ? (size_t)(colon - word) : strlen(word), kind = 0;

	while (kind < CREDENTIAL_KINDS &&
	       !bytes_equal((struct bytes){ word, n }, bytes_of(credential_kind_names[kind])))
		kind++;
	if (kind == CREDENTIAL_KINDS)
		return "write directory, passwd-file:/path, pam, pam:SERVICE, sql:/path.cf, "
		       "ldap:/path.cf, saslauthd:/path/mux or dovecot:/path/auth-client";
	*out = (struct credential_backend){ (enum credential_kind)kind, word,
		                            colon != NULL ? colon + 1 : "" };
	if (kind == CREDENTIAL_DIRECTORY)
		return colon == NULL ? NULL : "write directory alone";
	if (kind == CREDENTIAL_PAM) {
		if (colon == NULL)
			out->argument = "mansio";
		return service_valid(out->argument)
		               ? NULL
		               : "write the name of a file in /etc/pam.d behind pam:";
	}
	return out->argument[0] == '/' ? NULL : "write an absolute path behind the colon";
}

bool
credential_field(struct bytes fields, const char *name, struct bytes *value)
{
	struct bytes line;
	size_t       n = strlen(name);

	*value = (struct bytes){ NULL, 0 };
	while (bytes_split(&fields, '\n', &line))
		if (line.len > n && line.at[n] == '=' && bytes_starts(line, bytes_of(name))) {
			*value = bytes_cut(line, n + 1, SIZE_MAX);
			return true;
		}
	return false;
}

void
credential_field_add(struct buffer *fields, const char *name, struct bytes value)
{
	if (bytes_find(value, '\n') >= 0 || bytes_find(value, '\0') >= 0)
		return;
	buffer_add_string(fields, name);
	buffer_add_char(fields, '=');
	buffer_add(fields, value);
	buffer_add_char(fields, '\n');
}
