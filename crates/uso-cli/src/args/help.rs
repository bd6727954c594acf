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
  8   the job failed or was cancelled; for a batch: a row is not done
  9   a limit, a cap or a budget stopped the purchase
  10  the safety checker flagged the result
  A command that Ctrl-C or SIGTERM interrupts ends by that signal, which is 130 or 143 in a shell. uso studio, proxy, emulator and webhook listen end with 0.

Environment:
  FAL_KEY
      The key from fal's dashboard. It wins over the key of uso login.
  FAL_KEY_ID, FAL_KEY_SECRET
      The two parts of a key, in place of FAL_KEY.
  USO_BASE_URL
      Like --base-url.
  FAL_RUN_HOST, FAL_QUEUE_RUN_HOST
      The hosts of the service, where fal.run and queue.fal.run are others.
  USO_MAX_COST, USO_ASK_ABOVE
      Like --max-cost and --ask-above, for the commands that have the option.
  USO_CONFIG
      The configuration file; uso doctor shows where it is otherwise.
  USO_JOURNAL
      Like --journal: the file or database that records the purchases.
  USO_STATE_DIR
      The folder of journal.db, where no journal is named.
  PGUSER, PGPASSWORD, PGPASSFILE, PGSSLROOTCERT
      User, password, password file and private certificate authority of a journal on a server.
  USO_PROXY_TOKEN
      Like --token of uso proxy.
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
      The proxy for requests to the service, and the hosts that need none.
  NO_COLOR
      Switches colours off.

Configuration file:
  A TOML file of defaults, such as max-cost = \"0.50\". Its keys are the long options base-url, max-cost, ask-above, size, steps, guidance, images, format, negative-prompt, name, preview, timeout and start-within; for batches only base-url, max-cost and timeout count. The command line wins over the environment, and the environment over the file.";

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
  uso list --all --json";

pub(super) const BUDGET: &str = "\
Bills count, and the upper bound of each purchase until its bill is known. A purchase that would exceed a cap is refused before anything is sent, with exit code 9.

Examples:
  uso budget
  uso budget --day 5 --total 100";

pub(super) const PRUNE: &str = "\
Only closed jobs are pruned. Pictures on disk, keys, fingerprints and outcomes stay.

Examples:
  uso prune --dry-run
  uso prune --older-than 90d";

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
  uso cancel --write-off j17";

pub(super) const RESUME: &str = "\
Examples:
  uso resume
  uso resume j17 -o out.png --timeout 5m";

pub(super) const BATCH: &str = "\
Examples:
  uso batch run photos --style ink.webp --dry-run
  uso batch resume";

pub(super) const BATCH_NEW: &str = "\
Examples:
  uso batch new photos --style ink.webp -o photos.csv
  uso batch new photos -p \"a watercolour\" > photos.csv";

pub(super) const BATCH_RUN: &str = "\
A row is bought once, however often the command runs: after a crash or a Ctrl-C the next run goes on with what is left. The exit code is 0 only if every row is done, and 8 if a row is not.

Examples:
  uso batch run photos --style ink.webp --dry-run
  uso batch run photos.csv --budget 5
  uso batch run photos.csv --vary seed=1..4 --name {id}";

pub(super) const BATCH_STATUS: &str = "\
The exit code is 0 only if every row is done, 6 if the outcome of a row is unknown, and otherwise 8.

Examples:
  uso batch status
  uso batch status photos --json";

pub(super) const BATCH_RESUME: &str = "\
The rows are those that were last accepted, even if the manifest has changed since.

Examples:
  uso batch resume
  uso batch resume photos --concurrency 8";

pub(super) const BATCH_WORK: &str = "\
Each machine takes the next row that no other one has. Rows of a machine that died are taken over when its lease ends, 30 seconds after its last sign of life; what it may have sent is not sent again. The command ends when every row has an outcome. A limit for each row is checked by the run that offers the rows.

Examples:
  uso batch run photos.csv --offer --budget 20 --journal postgres://uso@db.example.org/uso
  uso batch work photos --output pictures --journal postgres://uso@db.example.org/uso";

pub(super) const BATCH_COLLECT: &str = "\
The pictures are fetched from the service again. How long it keeps them is not certain: collect soon.

Examples:
  uso batch collect photos -o pictures
  uso batch collect photos -o pictures --journal postgres://uso@db.example.org/uso";

pub(super) const JOURNAL: &str = "\
Other commands do this by themselves where their role may make tables. A role that works with the journal needs USAGE on the schema uso, and SELECT, INSERT, UPDATE and DELETE on its tables.

Examples:
  uso journal migrate --journal postgres://owner@db.example.org/uso
  uso journal migrate --journal postgres://localhost/uso --json";

pub(super) const BATCH_RETRY: &str = "\
Each row is a new purchase. Rows that were refused before they were bought, and rows that the budget stopped, need no retry: uso batch resume buys them.

Examples:
  uso batch retry
  uso batch retry photos --only service_failed";

pub(super) const BATCH_RECONCILE: &str = "\
A row is unknown when its purchase left and the response was lost. Its price stays reserved until the row is found, written off or bought again.

Examples:
  uso batch reconcile
  uso batch reconcile photos --buy-again cat dog";

pub(super) const BATCH_REPORT: &str = "\
The page opens from the disk, without a network. Thumbnails lie in a folder beside it.

Examples:
  uso batch report
  uso batch report photos -o photos.html";

pub(super) const BATCH_CANCEL: &str = "\
Pictures that are on disk stay there. A job that is running may complete all the same, and is then billed.

Examples:
  uso batch cancel
  uso batch cancel photos";

pub(super) const RERUN: &str = "\
Examples:
  uso rerun photos-pictures/cat.png.json -o again.png
  uso rerun photos-pictures/cat.png.json --seed 7";

pub(super) const UPLOAD: &str = "\
Examples:
  uso upload photo.jpg ink.webp
  uso upload photo.jpg --expires 7d";

pub(super) const WEBHOOK: &str = "\
Examples:
  uso webhook listen
  uso webhook verify --jwks jwks.json --headers head.txt --body body.json";

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
  uso completions --install
  uso completions bash >> ~/.bashrc
  uso completions fish > ~/.config/fish/completions/uso.fish";

pub(super) const MAN: &str = "\
Examples:
  uso man ~/.local/share/man/man1
  uso man /usr/local/share/man/man1";

pub(super) const MCP: &str = "\
Clients start the command themselves. Each purchase is a row of the journal under the agent's label, so \
that a repeated call buys nothing, and the next server continues the purchases of a killed one.

Set-up of a client:
  { \"mcpServers\": { \"uso\": { \"command\": \"uso\", \"args\": [\"mcp\", \"--budget\", \"2.00\"],
    \"env\": { \"FAL_KEY\": \"...\" } } } }

Examples:
  uso mcp --root ~/project --budget 2.00
  uso mcp --emulator";

pub(super) const SKILL: &str = "\
Examples:
  uso skill > SKILL.md
  uso skill --json";
