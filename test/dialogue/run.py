#!/usr/bin/python3
"""Plays the dialogues of this folder against a running server.

    test/dialogue/run.py --env demo/demo.env [FILE or FOLDER]...

A dialogue is a text file; its name is the sentence it proves.  Lines:

    # words                  a remark
    listener NAME [AS]       connect to smtp, submission, submissions, lmtp, imap, imaps, pop3 or pop3s;
                             with AS a second connection of that name (! use AS)
    setting NAME = VALUE     while this dialogue is played (main.cf is changed, the server reloads)
    own [NAME = VALUE]       it has a server of its own, with these settings, from `! start` on
    person NAME              somebody of the operating system for this dialogue: ${NAME} is the user's name, the
                             home is ${dir}/${NAME}; played by root only
    file PATH                is made in the dialogue's directory of what follows in lines `| TEXT`
    $ COMMAND                bash runs it in that directory and it ends with 0 ($N COMMAND: with N); what it says is
                             read by < <* <has <not until something is sent.  mansio, postconf, postmap, postalias,
                             newaliases, mailq, sendmail, doveadm, maildirmake and the like are those of this server
    until COMMAND            run it again and again until it ends with 0
    daemon COMMAND           runs until the dialogue is over
    ports NAME               ${NAME} is a base port of nobody's, ${NAME_smtp} ... what a second demo has there
    needs COMMAND            where it does not end with 0 the rest is not played, and not counted
    finally COMMAND          runs when the dialogue is over, however that was
    <end                     no more was said
    < PATTERN                the next reply begins so; ... stands for anything.  SMTP: all lines of one
                             reply, the last must match.  IMAP and POP3: one line.
    <* PATTERN               read lines until one matches
    <.                       read lines until a lone dot (POP3)
    <has PATTERN             one of the lines just read matches, <not PATTERN: none does
    > TEXT                   send it with CRLF
    >raw "TEXT"              send exactly that; \\r \\n \\t \\0 \\\\ \\" \\xNN
    >repeat N "TEXT"         send it N times
    ! starttls               ask for TLS, and have it (! handshake: it was asked for)
    ! auth NAME              log in as NAME (a whole address, or one of the demo's users)
    ! keep NAME REGEX        ${NAME} is the first group of REGEX in the lines just read
    ! wait SECONDS           let time pass
    ! half-close             say no more
    ! closed                 the server closes the connection
    ! close                  close it
    ! use NAME               go on with the connection of that name ("" the first)

${password}, ${unique} (a word of its own for every run), ${host} and what was kept stand for their values; in a dialogue
with commands also ${dir}, ${demo} (the server's directory), ${ca} and the ports ${smtp} ${submission} ${imaps} ...
"""
import argparse, base64, concurrent.futures, os, re, secrets, socket, ssl, subprocess, sys, time

from examples import missing
from own import Output, Own, Wrong, free_base, ports_of

PATIENCE = 20
TLS_FIRST = {'submissions', 'imaps', 'pop3s'}
PORTS = {name: 'MANSIO_%s_PORT' % name.upper() for name in
         ('smtp', 'submission', 'submissions', 'lmtp', 'imap', 'imaps', 'pop3', 'pop3s')}
OWN = re.compile(r'(own|person|file|\$\d*|until|daemon|ports|needs|finally)( |$)')
HERE = os.path.dirname(os.path.abspath(__file__))


def read_env(path):
    with open(path) as f:
        return dict(line.rstrip('\n').split('=', 1) for line in f if '=' in line)


def matcher(pattern):
    parts = [re.escape(p) for p in pattern.split('...')]
    return re.compile('.*'.join(parts), re.DOTALL)


class Connection:
    """One socket, read by lines."""

    def __init__(self, env, name):
        self.env, self.name = env, name
        self.protocol = 'imap' if name.startswith('imap') else 'pop3' if name.startswith('pop3') else 'smtp'
        self.sock = socket.create_connection((env['MANSIO_HOST'], int(env[PORTS[name]])), PATIENCE)
        self.data, self.lines = b'', []
        if name in TLS_FIRST:
            self.secure()

    def secure(self):
        context = ssl.create_default_context(cafile=self.env['MANSIO_CA'])
        self.sock = context.wrap_socket(self.sock, server_hostname=self.env['MANSIO_TLS_HOST'])

    def send(self, data):
        self.sock.sendall(data)

    def line(self):
        while b'\n' not in self.data:
            try:
                more = self.sock.recv(65536)
            except socket.timeout:
                raise Wrong('nothing came for %d seconds behind: %s' % (PATIENCE, ' | '.join(self.lines)))
            except OSError as e:
                raise Wrong('the connection broke: %s' % e)
            if not more:
                raise Wrong('the server closed the connection')
            self.data += more
        line, self.data = self.data.split(b'\n', 1)
        return line.rstrip(b'\r').decode('utf-8', 'backslashreplace')

    def reply(self):
        self.lines = [self.line()]
        while self.protocol == 'smtp' and re.match(r'\d\d\d-', self.lines[-1]):
            self.lines.append(self.line())
        return self.lines[-1]

    def closed(self):
        while True:
            try:
                more = self.sock.recv(65536)
            except socket.timeout:
                raise Wrong('the server did not close the connection')
            except OSError:
                return
            if not more:
                return
            self.data += more

    def starttls(self):
        ask = {'smtp': 'STARTTLS', 'imap': 'TLS0 STARTTLS', 'pop3': 'STLS'}[self.protocol]
        good = {'smtp': '220', 'imap': 'TLS0 OK', 'pop3': '+OK'}[self.protocol]
        self.send((ask + '\r\n').encode())
        said = self.reply()
        if not said.startswith(good):
            raise Wrong('%s: %s' % (ask, said))
        self.secure()

    def auth(self, user):
        user = user if '@' in user else user + '@example.com'
        password = self.env['MANSIO_PASSWORD']
        plain = base64.b64encode(('\0%s\0%s' % (user, password)).encode()).decode()
        if self.protocol == 'smtp':
            ask, good = 'AUTH PLAIN ' + plain, '235'
        elif self.protocol == 'imap':
            ask, good = 'AUTH0 LOGIN "%s" "%s"' % (user, password.replace('\\', '\\\\').replace('"', '\\"')), 'AUTH0 OK'
        else:
            ask, good = 'AUTH PLAIN ' + plain, '+OK'
        self.send((ask + '\r\n').encode())
        said = self.reply()
        while self.protocol == 'imap' and not said.startswith('AUTH0 '):
            said = self.reply()
        if not said.startswith(good):
            raise Wrong('log in as %s: %s' % (user, said))


class Unneeded(Exception):
    """What this dialogue needs is not here."""


class Dialogue:
    def __init__(self, env, path):
        self.env, self.path = env, path
        self.kept = {'password': env['MANSIO_PASSWORD'], 'unique': secrets.token_hex(6), 'host': env['MANSIO_TLS_HOST']}
        self.open, self.now, self.settings = {}, '', []
        self.own, self.own_settings, self.heard, self.file = None, [], None, None
        with open(path, encoding='utf-8') as f:
            self.script = f.read().splitlines()
        for line in self.script:
            if line.startswith('setting '):
                self.settings.append(line[len('setting '):])
        self.skipped, self.of_root = False, any(line.startswith('person ') for line in self.script)

    def expand(self, text):
        return re.sub(r'\$\{(\w+)\}', lambda m: self.kept.get(m.group(1), m.group(0)), text)


    @staticmethod
    def quoted(text):
        """The bytes of a "quoted text" with its escapes."""
        text = text.strip()
        if len(text) < 2 or text[0] != '"' or text[-1] != '"':
            raise Wrong('a text in quotes is missing: ' + text)
        names = {'r': '\r', 'n': '\n', 't': '\t', '0': '\0'}
        raw = re.sub(r'\\(x[0-9a-fA-F]{2}|.)', lambda m: chr(int(m.group(1)[1:], 16)) if len(m.group(1)) == 3 else
                     names.get(m.group(1), m.group(1)), text[1:-1])
        return raw.encode('latin-1') if all(ord(c) < 256 for c in raw) else raw.encode()

    @property
    def c(self):
        if self.heard is not None:
            return self.heard
        if self.now not in self.open:
            raise Wrong('there is no connection yet: listener NAME')
        return self.open[self.now]

    def expect(self, pattern, search=False):
        want = matcher(pattern)
        if search:
            for _ in range(100000):
                self.c.lines.append(self.c.line())
                if want.match(self.c.lines[-1]):
                    return
        said = self.c.reply()
        if not want.match(said):
            raise Wrong('wanted: %s\n         got: %s' % (pattern, ' | '.join(self.c.lines)))

    def has(self, pattern, wanted):
        found = any(matcher(pattern).match(line) for line in self.c.lines)
        if found != wanted:
            raise Wrong('%s: %s\n         in: %s' % ('not there' if wanted else 'there', pattern, ' | '.join(self.c.lines)))

    def directive(self, words):
        word, _, rest = words.partition(' ')
        if word == 'start':
            self.env = self.own.start([self.expand(line) for line in self.own_settings])
            self.env.setdefault('MANSIO_TLS_HOST', 'mail.example.com')
            self.kept.update(self.own.names())
        elif word == 'stop':
            self.own.stop()
        elif word == 'starttls':
            self.c.starttls()
        elif word == 'handshake':
            self.c.data = b''
            self.c.secure()
        elif word == 'auth':
            self.c.auth(rest)
        elif word == 'keep':
            name, _, regex = rest.partition(' ')
            found = re.search(regex, '\n'.join(self.c.lines))
            if not found:
                raise Wrong('nothing to keep for %s in: %s' % (name, ' | '.join(self.c.lines)))
            self.kept[name] = found.group(1)
        elif word == 'wait':
            time.sleep(float(rest))
        elif word == 'half-close':
            self.c.sock.shutdown(socket.SHUT_WR)
        elif word == 'closed':
            self.c.closed()
        elif word == 'close':
            self.c.sock.close()
        elif word == 'use':
            self.now = rest
        else:
            raise Wrong('no such directive: ' + word)

    def of_own(self, word, rest):
        """The lines of a dialogue that does more than talk to a server.  False: it is another line."""
        if word == 'own':
            self.own_settings += [rest] if rest else []
        elif word == 'person':
            self.kept[rest] = self.own.person()
        elif word == 'file':
            self.file = (rest, [])
        elif word == '|' and self.file:
            self.file[1].append(rest)
        elif re.fullmatch(r'\$\d*', word):
            self.heard = self.own.command(int(word[1:] or 0), rest)
        elif word == 'until':
            self.heard = self.own.until(rest)
        elif word == 'daemon':
            self.own.daemon(rest)
        elif word == 'ports':
            base = free_base()
            self.kept.update({rest: str(base), **{'%s_%s' % (rest, name): port for name, port in ports_of(base).items()}})
        elif word == 'needs':
            if self.own.run(rest).returncode != 0:
                raise Unneeded(rest)
        elif word == 'finally':
            self.own.last.append(rest)
        elif word == '<end':
            if not isinstance(self.heard, Output) or self.heard.left:
                raise Wrong('more was said: ' + ' | '.join(self.c.left))
        else:
            return False
        return True

    def step(self, line):
        word, _, rest = line.partition(' ')
        rest = self.expand(rest)
        if word == 'file' or word != '|' and self.file:
            self.written()
        if word in ('>', '>raw', '>repeat', 'listener') or word == '!' and not rest.startswith('keep '):
            self.heard = None
        if self.of_own(word, rest):
            return
        if word == 'listener':
            name, _, self.now = rest.partition(' ')
            self.open[self.now] = Connection(self.env, name)
        elif word == '<':
            self.expect(rest)
        elif word == '<*':
            self.c.lines = []
            self.expect(rest, search=True)
        elif word == '<.':
            self.c.lines = []
            while not self.c.lines or self.c.lines[-1] != '.':
                self.c.lines.append(self.c.line())
        elif word == '<has':
            self.has(rest, True)
        elif word == '<not':
            self.has(rest, False)
        elif word == '>':
            self.c.send(rest.encode() + b'\r\n')
        elif word == '>raw':
            self.c.send(self.quoted(rest))
        elif word == '>repeat':
            count, _, text = rest.partition(' ')
            self.c.send(self.quoted(text) * int(count))
        elif word == '!':
            self.directive(rest)
        else:
            raise Wrong('not understood: ' + line)

    def written(self):
        if self.file:
            self.own.write(*self.file)
        self.file = None

    def play(self):
        """None, or what went wrong."""
        if self.of_root and os.geteuid() != 0:
            self.skipped = True
            return None
        number = 0
        try:
            if any(OWN.match(line) for line in self.script):
                self.own = Own(self.env['MANSIO_BIN'], self.env['MANSIO_PASSWORD'])
                self.kept.update(self.own.names())
            for number, line in enumerate(self.script, 1):
                if line.strip() and not line.startswith('#') and not line.startswith('setting '):
                    self.step(line)
        except Unneeded:
            self.skipped = True
        except (Wrong, OSError, ssl.SSLError, subprocess.SubprocessError) as e:
            return '%s:%d: %s' % (os.path.relpath(self.path), number, e)
        finally:
            for c in self.open.values():
                c.sock.close()
            if self.own:
                self.own.close()
        return None


class Settings:
    """main.cf with some lines more, for a while."""

    def __init__(self, env, lines):
        self.env, self.lines = env, lines

    def reload(self):
        done = subprocess.run([self.env['MANSIO_BIN'], '-c', self.env['MANSIO_CONFIG'], 'reload'],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        if done.returncode != 0:
            raise Wrong('reload: ' + done.stdout.decode())
        time.sleep(0.5)

    def __enter__(self):
        with open(self.env['MANSIO_CONFIG']) as f:
            self.before = f.read()
        with open(self.env['MANSIO_CONFIG'], 'a') as f:
            f.write('\n' + '\n'.join(self.lines) + '\n')
        try:
            self.reload()
        except Wrong:
            self.__exit__()
            raise

    def __exit__(self, *_):
        with open(self.env['MANSIO_CONFIG'], 'w') as f:
            f.write(self.before)
        self.reload()


def find(paths):
    for path in paths:
        if os.path.isfile(path):
            yield path
        for folder, _, files in sorted(os.walk(path)):
            for name in sorted(files):
                if '.' not in name and not name.startswith('README'):
                    yield os.path.join(folder, name)


def main():
    args = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    args.add_argument('--env', default='demo/demo.env', help='demo.env of the running server')
    args.add_argument('--jobs', type=int, default=4)
    args.add_argument('--verbose', action='store_true')
    args.add_argument('path', nargs='*')
    args = args.parse_args()
    env = read_env(args.env)
    env.setdefault('MANSIO_TLS_HOST', 'mail.example.com')

    dialogues = [Dialogue(env, p) for p in find(args.path or [HERE])]
    alone = [d for d in dialogues if d.settings]
    together = [d for d in dialogues if not d.settings]
    wrong = []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for d, w in zip(together, pool.map(Dialogue.play, together)):
            wrong += [w] if w else []
            if args.verbose:
                print('%s %s' % ('not so' if w else 'holds ', os.path.relpath(d.path)))
    for d in alone:
        try:
            with Settings(env, d.settings):
                w = d.play()
        except Wrong as e:
            w = '%s: %s' % (os.path.relpath(d.path), e)
        wrong += [w] if w else []
        if args.verbose:
            print('%s %s' % ('not so' if w else 'holds ', os.path.relpath(d.path)))
    skipped = sum(d.skipped for d in dialogues)
    held = len(dialogues) - len(wrong) - skipped
    wrong += [] if args.path else missing(HERE)
    for w in wrong:
        print(w)
    print('%d dialogues, %d hold, %d do not' % (len(dialogues), held, len(wrong)) +
          (', %d were not played: what they need is not here' % skipped if skipped else ''))
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
