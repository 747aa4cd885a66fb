# SPDX-License-Identifier: ISC
"""Thunderbird itself, without a window, told what to do by its remote control (Marionette)."""

import base64
import json
import os
import shutil
import socket
import subprocess

import pytest
from kit import letter, wait_for, word
from ports import free_port

pytestmark = pytest.mark.skipif(not shutil.which("thunderbird"), reason="no Thunderbird here")
USER = "jsmith@example.com"

BEGIN = r"""
const [text, host, imap, smtp, user, password] = arguments; const done = arguments[arguments.length - 1];
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
(async () => {
  Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(text, "C,C,C");
  const login = (kind, where) => { const l = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
    l.init(kind + "://" + where, null, kind + "://" + where, user, password, "", ""); return Services.logins.addLoginAsync(l); };
  await login("imap", host); await login("smtp", host);
  const server = MailServices.accounts.createIncomingServer(user, host, "imap");
  server.port = imap; server.socketType = Ci.nsMsgSocketType.SSL; server.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
  server.password = password; server.loginAtStartUp = false;
  const out = MailServices.outgoingServer.createServer("smtp"); out.QueryInterface(Ci.nsISmtpServer);
  out.hostname = host; out.port = smtp; out.socketType = Ci.nsMsgSocketType.SSL; out.authMethod = Ci.nsMsgAuthMethod.passwordCleartext;
  out.username = user; out.password = password;
  const identity = MailServices.accounts.createIdentity(); identity.email = user; identity.smtpServerKey = out.key; identity.valid = true;
  const account = MailServices.accounts.createAccount(); account.incomingServer = server; account.addIdentity(identity);
  globalThis.tbServer = server; globalThis.tbIdentity = identity;
  done("made");
})().catch(e => done("" + e));
"""

READ = r"""
const [subject] = arguments; const done = arguments[arguments.length - 1];
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
(async () => {
  const server = MailServices.accounts.accounts[0].incomingServer; const root = server.rootFolder;
  const sleep = n => new Promise(r => setTimeout(r, n));
  server.performExpand(null);
  let inbox; for (let i = 0; i < 100 && !(inbox = root.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox)); i++) await sleep(100);
  if (!inbox) return done({ why: "no inbox" });
  inbox.QueryInterface(Ci.nsIMsgImapMailFolder);
  const all = () => { const list = []; for (const h of inbox.msgDatabase.enumerateMessages()) list.push(h); return list; };
  let hdr;
  for (let i = 0; i < 100 && !hdr; i++) { if (i % 10 == 0) inbox.getNewMessages(null, null); await sleep(100); hdr = all().find(h => h.mime2DecodedSubject == subject); }
  if (!hdr) return done({ why: "no letter", has: all().map(h => h.mime2DecodedSubject) });
  const uri = inbox.getUriForMsg(hdr); const service = MailServices.messageServiceFromURI(uri);
  const text = await new Promise((yes, no) => { let got = "";
    service.streamMessage(uri, { QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]), onStartRequest() {},
      onDataAvailable(r, s, o, n) { const i = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream); i.init(s); got += i.readBytes(n); },
      onStopRequest() { yes(got); } }, null, null, false, "", false); });
  inbox.markMessagesRead([hdr], true); inbox.markMessagesFlagged([hdr], true); inbox.addKeywordsToMessages([hdr], "$label1");
  const uses = ["Inbox", "SentMail", "Drafts", "Trash", "Junk", "Archive"];
  const found = () => uses.filter(u => root.getFolderWithFlags(Ci.nsMsgFolderFlags[u]));
  for (let i = 0; i < 100 && found().length < uses.length; i++) await sleep(100);
  done({ author: hdr.mime2DecodedAuthor, text, uses: found() });
})().catch(e => done({ why: "" + e }));
"""

FILE = r"""
const [subject, folder] = arguments; const done = arguments[arguments.length - 1];
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
(async () => {
  const sleep = n => new Promise(r => setTimeout(r, n));
  const root = MailServices.accounts.accounts[0].incomingServer.rootFolder;
  const inbox = root.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
  root.createSubfolder(folder, null);
  for (let i = 0; i < 100 && !root.containsChildNamed(folder); i++) await sleep(100);
  const to = root.getChildNamed(folder);
  let hdr; for (const h of inbox.msgDatabase.enumerateMessages()) if (h.mime2DecodedSubject == subject) hdr = h;
  const status = await new Promise(yes => MailServices.copy.copyMessages(inbox, [hdr], to, true,
    { QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]), onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; }, onStopCopy(s) { yes(s); } }, null, false));
  done({ status });
})().catch(e => done({ why: "" + e }));
"""

SEND = r"""
const [subject, to] = arguments; const done = arguments[arguments.length - 1];
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
(async () => {
  const account = MailServices.accounts.accounts[0]; const identity = account.defaultIdentity;
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  fields.from = identity.email; fields.to = to; fields.subject = subject; fields.body = "Sent by Thunderbird: 你好\r\n";
  identity.doFcc = false; identity.composeHtml = false;
  const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
  params.composeFields = fields; params.identity = identity; params.format = Ci.nsIMsgCompFormat.PlainText;
  const compose = MailServices.compose.initCompose(params);
  const q = ChromeUtils.generateQI(["nsIMsgSendListener"]);
  const sent = new Promise(yes => compose.addMsgSendListener({ QueryInterface: q, onStartSending() {}, onSendProgress() {}, onProgress() {}, onStatus() {}, onStopSending(id, status) { yes(status); }, onGetDraftFolderURI() {}, onSendNotPerformed() { yes(-1); }, onTransportSecurityError() { yes(-2); } }));
  compose.sendMsg(Ci.nsIMsgSend.nsMsgDeliverNow, identity, account.key, null, null);
  done({ status: await sent });
})().catch(e => done({ why: "" + e }));
"""


class Thunderbird:
    def __init__(self, profile, **more):
        profile.mkdir()
        port = free_port()
        prefs = {"marionette.port": port, "mail.provider.suppress_dialog_on_startup": True, "app.update.enabled": False,
                 "datareporting.policy.dataSubmissionEnabled": False, "mail.spotlight.firstRunDone": True, "mail.rights.version": 1,
                 "network.proxy.type": 0, "mailnews.start_page.enabled": False, "mail.shell.checkDefaultClient": False,
                 "mail.biff.on_new_window": False, "security.OCSP.enabled": 0, "extensions.update.enabled": False, **more}
        (profile / "user.js").write_text("".join(f'user_pref("{k}", {json.dumps(v)});\n' for k, v in prefs.items()))
        self.out = open(profile / "output", "wb")
        self.process = subprocess.Popen(
            ["thunderbird", "--headless", "--no-remote", "--marionette", "-remote-allow-system-access", "--profile", str(profile)],
            env={**os.environ, "HOME": str(profile)}, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out)
        self.buffer, self.count = b"", 0

        def connect():
            try:
                return socket.create_connection(("127.0.0.1", port), 60)
            except OSError:
                return None
        self.socket = wait_for(connect, 60)
        self.take()
        self.tell("WebDriver:NewSession", pageLoadStrategy="none")
        self.tell("Marionette:SetContext", value="chrome")
        self.tell("WebDriver:SetTimeouts", script=60000)

    def take(self):
        while b":" not in self.buffer:
            self.buffer += self.read()
        size, _, rest = self.buffer.partition(b":")
        while len(rest) < int(size):
            rest += self.read()
        self.buffer = rest[int(size):]
        return json.loads(rest[:int(size)])

    def read(self):
        data = self.socket.recv(65536)
        assert data, "Thunderbird ended"
        return data

    def tell(self, name, **arguments):
        self.count += 1
        data = json.dumps([0, self.count, name, arguments]).encode()
        self.socket.sendall(b"%d:%s" % (len(data), data))
        _, _, error, result = self.take()
        assert error is None, error
        return result

    def run(self, script, *arguments):
        return self.tell("WebDriver:ExecuteAsyncScript", script=script, args=list(arguments), sandbox="system")["value"]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.out.close()


def test_thunderbird_reads_files_and_sends(demo, tmp_path):
    subject, reply, folder = word(), word(), "Kept " + word()
    demo.send(letter(subject, body="驿站 is a posting-house.\n", to=USER), to=USER)
    demo.find(subject, "jsmith")
    pem = open(demo.ca).read()
    der = base64.b64encode(base64.b64decode("".join(pem.split("-----")[2].split()))).decode()
    bird = Thunderbird(tmp_path / "profile")
    try:
        made = bird.run(BEGIN, der, "localhost", demo.port("imaps"), demo.port("submissions"), USER, demo.password)
        assert made == "made"
        read = bird.run(READ, subject)
        assert "why" not in read, read
        assert read["author"] == "jack@example.com" and "posting-house" in read["text"]
        assert len(read["uses"]) == 6, read["uses"]         # the special uses are known to it
        box = demo.imap("jsmith")
        box.select("INBOX")

        def flagged():
            box.noop()
            return box.search(None, "SUBJECT", subject, "SEEN", "FLAGGED", "KEYWORD", "$label1")[1][0]
        wait_for(flagged)
        assert bird.run(FILE, subject, folder) == {"status": 0}
        assert demo.find(subject, "jsmith", f'"{folder}"')
        box.noop()
        assert not box.search(None, "SUBJECT", subject)[1][0], "it was moved"
        assert bird.run(SEND, reply, "jill@example.com") == {"status": 0}
        assert demo.find(reply)
        box.delete(f'"{folder}"')
        box.logout()
    finally:
        bird.close()
