//! Examples of each command, and the sections below the options.

pub(super) const ROOT: &str = "\
Examples:
  uso restyle photo.jpg ink.webp --emulator
  uso generate cat.png -p \"a cat on a lighthouse\"

Exit codes:
  0   done
  1   any other error
  2   wrong use of the command
  3   a picture, a file or a value that goes in is refused
  4   no key, or the service refuses it
  5   the account is locked, or its balance is used up
  6   it is not known whether a purchase was accepted
  7   a deadline passed
  8   the job failed
  9   the price is above the limit
  10  the safety checker flagged the result
  A command that Ctrl-C or SIGTERM ended, ends by that signal: 130 or 143 in a shell.

Environment:
  FAL_KEY
      The key from fal's dashboard. It wins over the key of uso login.
  FAL_KEY_ID, FAL_KEY_SECRET
      The two parts of a key, in place of FAL_KEY.
  USO_BASE_URL
      Like --base-url.
  USO_MAX_COST, USO_ASK_ABOVE
      Like --max-cost and --ask-above, for every purchase.
  USO_CONFIG
      The configuration file; uso doctor shows where it is otherwise.
  USO_STATE_DIR, USO_CACHE_DIR
      Where purchases and known uploads are recorded.
  HTTPS_PROXY, NO_PROXY
      The proxy for requests to the service, and the hosts that need none.
  NO_COLOR
      Switches colours off.

Configuration file:
  A TOML file whose keys are long options with a value, such as max-cost = \"0.50\". The command line wins over the environment, and the environment over the file.";

pub(super) const GENERATE: &str = "\
Examples:
  uso generate cat.png -p \"a cat on a lighthouse\"
  uso generate cat.png --style ink.webp -p @prompt.txt -n 4 -o cats/";

pub(super) const RESTYLE: &str = "\
Examples:
  uso restyle photo.jpg ink.webp
  uso restyle photo.jpg ink.webp wash.png -o out.png --max-cost 0.50";

pub(super) const ESTIMATE: &str = "\
With a STYLE the estimate is the one of uso restyle, and otherwise the one of uso generate.

Examples:
  uso estimate photo.jpg ink.webp
  uso estimate cat.png -p \"a cat on a lighthouse\" -s 2048x1024";

pub(super) const LIST: &str = "\
Examples:
  uso list
  uso list --json";

pub(super) const STATUS: &str = "\
Examples:
  uso status
  uso status 764cabcf --json";

pub(super) const WATCH: &str = "\
Examples:
  uso watch
  uso watch 764cabcf --timeout 5m";

pub(super) const RESULT: &str = "\
Examples:
  uso result --wait
  uso result 764cabcf -o out.png";

pub(super) const CANCEL: &str = "\
Examples:
  uso cancel 764cabcf
  uso cancel 764cabcf --json";

pub(super) const RESUME: &str = "\
Examples:
  uso resume
  uso resume 764cabcf -o out.png --timeout 5m";

pub(super) const UPLOAD: &str = "\
Examples:
  uso upload photo.jpg ink.webp
  uso upload photo.jpg --expires 7d";

pub(super) const LOGIN: &str = "\
The key is read from the terminal without being shown, or from standard input, and is written to a file that only you can read. FAL_KEY wins over it.

Examples:
  uso login
  uso login < key.txt";

pub(super) const LOGOUT: &str = "\
Examples:
  uso logout
  uso logout --json";

pub(super) const DOCTOR: &str = "\
Nothing is bought or uploaded; the exit code is 1 when a check fails.

Examples:
  uso doctor
  uso doctor --json";

pub(super) const EMULATOR: &str = "\
Ctrl-C stops it; the exit code is then 0.

Examples:
  uso emulator
  uso emulator --scenario-example > faults.json";

pub(super) const COMPLETIONS: &str = "\
The script asks uso for the candidates, so that files, sizes and job ids are up to date.

Examples:
  uso completions bash >> ~/.bashrc
  uso completions fish > ~/.config/fish/completions/uso.fish";

pub(super) const MAN: &str = "\
Examples:
  uso man ~/.local/share/man/man1
  uso man /usr/local/share/man/man1";
