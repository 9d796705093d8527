import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FileSet, findOnHost } from './file-set.ts';
import { libraryFolder, type SharedLibraries, sharedLibraries } from './shared-libraries.ts';

const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];

/** What install scripts of packages commonly call. */
const TOOLS =
  'basename cat chmod chown cp cut date dirname echo env expr false find grep gzip head id ln ls ' +
  'mkdir mktemp mv pwd readlink rm rmdir sed sleep sort tail tar tee test touch tr true uname uniq ' +
  'wc whoami xargs';

/** Loaded by name at run time, so ldd does not show them: name lookup and thread exit of glibc. */
const LOADED = ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2', 'libgcc_s.so.1'];

const CERTIFICATES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
];

/** Path of the certificate authorities in every base image. */
export const CERTIFICATES_PATH = '/etc/ssl/certs/ca-certificates.crt';

const PASSWD = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
nonroot:x:65532:65532:nonroot:/home:/bin/false
`;
const GROUP = `root:x:0:
nogroup:x:65534:
nonroot:x:65532:
`;

/** The lowest layer of the base images: C library, a shell, small tools, accounts, time zones. */
export async function toolsLayer(): Promise<FileSet> {
  const set = new FileSet();
  // One place for programs and one for libraries, whatever path they are called by.
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) set.addLink(name, `usr/${name}`);
  for (const name of ['usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', 'app', 'home', 'var']) {
    set.addDirectory(name);
  }
  set.addDirectory('root', 0o700);
  set.addDirectory('tmp', 0o1777);
  set.addDirectory('var/tmp', 0o1777);
  addAccounts(set);
  const shell = findOnHost('dash', FOLDERS) ?? findOnHost('sh', FOLDERS);
  const programs = TOOLS.split(' ').flatMap((name) => findOnHost(name, FOLDERS) ?? []);
  for (const path of programs) set.addFile(`usr/bin/${path.split('/').at(-1)}`, path);
  if (shell !== undefined) set.addFile('usr/bin/sh', shell);
  const needed = await sharedLibraries(shell === undefined ? programs : [shell, ...programs]);
  addLibraries(set, needed, libraryFolder(needed));
  addLoaded(set, libraryFolder(needed));
  if (existsSync('/usr/share/zoneinfo')) {
    const skip = (_name: string, relative: string): boolean => /^(posix|right)$/.test(relative);
    set.addTree('usr/share/zoneinfo', '/usr/share/zoneinfo', { skip });
  }
  return set;
}

/** Adds libraries, and the loader under the path that programs name, unless `below` has them. */
export function addLibraries(
  set: FileSet,
  { loader, libraries }: SharedLibraries,
  folder: string,
  below?: FileSet,
): void {
  const into = inUsr(folder);
  for (const [name, path] of libraries) {
    const target = `${into}/${name}`;
    if (below?.has(target) !== true) set.addFile(target, path);
  }
  if (loader !== undefined && below?.has(inUsr(loader)) !== true)
    set.addFile(inUsr(loader), loader);
}

function addLoaded(set: FileSet, folder: string): void {
  for (const name of LOADED) {
    const path = join(folder, name);
    if (existsSync(path)) set.addFile(`${inUsr(folder)}/${name}`, path);
  }
}

/** `/lib64/x` → `usr/lib64/x`: the top folders are links into usr. */
function inUsr(path: string): string {
  const bare = path.replace(/^\/+/, '');
  return bare.startsWith('usr/') ? bare : `usr/${bare}`;
}

function addAccounts(set: FileSet): void {
  set.addText('etc/passwd', PASSWD);
  set.addText('etc/group', GROUP);
  set.addText('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n');
  set.addText('etc/os-release', 'ID=hearth\nNAME="Hearth base image"\n');
  const certificates = CERTIFICATES.find((path) => existsSync(path));
  if (certificates === undefined) return;
  set.addFile(CERTIFICATES_PATH.slice(1), certificates);
  set.addLink('usr/lib/ssl/cert.pem', CERTIFICATES_PATH);
  set.addLink('usr/lib/ssl/certs', '/etc/ssl/certs');
}
