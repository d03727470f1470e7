# Gets a Node that is new enough and the libraries of package-lock.json. Sourced by ./p2prc and
# ./check, which set $here; `setup` sets $node.
#
# All it says, and all npm says, goes to stderr. Two at the same time take turns. An install that
# was broken off leaves no node_modules/.package-lock.json (npm writes it last) and is done anew.

say() { printf 'p2prc: %s\n' "$1" >&2; }

# Exit code 5: something about this machine, as in src/core/errors.ts.
fail() {
  say "$1"
  printf 'hint: %s\n' "$2" >&2
  exit 5
}

# $1: `prod`, or `dev` for what ./check needs as well.
setup() {
  here=$(CDPATH='' cd -- "$here" && pwd -P) || fail "cannot enter the folder of p2prc" "look who may read it"
  modules=$here/node_modules
  node=$(pick_node) || alone install_node
  if fits "$1"; then stamp_lock; else alone install_libraries "$1"; fi
  stamp_node
}

# Prints the first node in PATH that is new enough, else the one in tools/node. A shim (nvm, asdf)
# stands for another file, which is the one to remember.
pick_node() (
  set -f
  IFS=:
  for folder in $PATH; do
    new_enough "$folder/node" && exec "$folder/node" -p process.execPath
  done
  set +f
  for candidate in "$here"/tools/node/node_modules/node-*/bin/node; do
    new_enough "$candidate" && exec "$candidate" -p process.execPath
  done
  exit 1
)

# 24: runs TypeScript as it is, has node:sqlite and `await using`.
new_enough() {
  [ -f "$1" ] && [ -x "$1" ] || return 1
  case $("$1" --version 2>/dev/null) in
    v2[4-9].* | v[3-9][0-9].*) ;;
    *) return 1 ;;
  esac
}

install_node() {
  node=$(pick_node) && return # another p2prc was quicker
  say "there is no Node 24 or newer in PATH: fetching the one that npm brings (into tools/node)"
  npm_ci "$here/tools/node" ||
    fail "npm could not fetch Node" "is there a network? or install Node 24 or newer yourself: https://nodejs.org"
  node=$(pick_node) ||
    fail "npm has no Node 24 that runs on this machine" "install Node 24 or newer yourself: https://nodejs.org"
}

install_libraries() {
  fits "$1" && return # another p2prc was quicker
  only=--omit=dev
  # What ./check has installed stays: typescript is there for developers alone.
  if [ "$1" = dev ] || [ -d "$modules/typescript" ]; then only=--include=dev; fi
  say "installing the libraries that package-lock.json names (once, into node_modules; about 20 s)"
  rm -f "$modules/.package-lock.json" "$modules/.p2prc-lock" "$modules/.p2prc-node"
  # The time of the lock as it was read: it may change while npm works.
  touch -r "$here/package-lock.json" "$here/.install.time"
  npm_ci "$here" "$only" ||
    fail "npm could not install the libraries" "is there a network, and space on the disk? then start again"
  mv "$here/.install.time" "$modules/.p2prc-lock"
  say "installed"
}

fits() {
  "$node" "$here/tools/installed.mjs" "$1"
}

# Stamps fail in a folder that somebody else owns: then each start looks again.
stamp_lock() { touch -r "$here/package-lock.json" "$modules/.p2prc-lock" 2>/dev/null || :; }

stamp_node() {
  new=$modules/.p2prc-node.$$
  { printf '%s\n' "$node" >"$new" && touch -r "$node" "$new" && mv "$new" "$modules/.p2prc-node"; } 2>/dev/null || :
}

# $1: the folder; then options. A developer's own npm settings must not leave half of it out.
npm_ci() {
  folder=$1
  shift
  (
    CDPATH='' cd -- "$folder" || exit 1
    exec npm ci --include=optional --no-global --ignore-scripts --no-audit --no-fund --no-update-notifier \
      --prefer-offline --fetch-retries=3 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000 \
      --loglevel=error "$@"
  ) </dev/null >/dev/null # what matters it says on stderr
}

# Runs a command while no other p2prc installs here.
alone() {
  ready_for_npm
  if command -v flock >/dev/null; then
    # npm inherits the lock: it holds as long as either of the two lives, and not longer.
    exec 9>"$here/.install.lock"
    flock -n 9 || {
      say "another p2prc is installing here: waiting for it"
      flock 9
    }
    "$@"
    exec 9>&-
  else # macOS
    until ln -s "$$" "$here/.install.lock" 2>/dev/null; do
      holder=$(readlink "$here/.install.lock") && ! kill -0 "$holder" 2>/dev/null && rm -f "$here/.install.lock"
      sleep 1
    done
    trap 'rm -f "$here/.install.lock"' EXIT
    "$@"
    rm -f "$here/.install.lock"
    trap - EXIT
  fi
}

ready_for_npm() {
  [ -w "$here" ] ||
    fail "cannot write in $here, where the libraries are to be installed" "start it once as its owner, or copy the folder to a place of yours"
  command -v npm >/dev/null ||
    fail "there is no npm, which fetches Node 24 and the libraries" "install Node 24 or newer, which brings it: https://nodejs.org (Debian: apt-get install npm)"
  [ -z "${npm_config_cache-}" ] || return 0
  [ -n "${HOME-}" ] ||
    fail "HOME is not set, and npm keeps its cache there" "set HOME to a folder of yours"
  [ -d "$HOME" ] && [ -w "$HOME" ] ||
    fail "cannot write in $HOME (HOME), where npm keeps its cache" "set HOME to a folder of yours"
}
