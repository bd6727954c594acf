//! Claims of offered rows: as many in a transaction as the worker has free places.

use uso::Request;
use uso_journal::Journal;
use uso_tests::postgres;
use uso_tests::rig::Rig;

use super::server;

/// Writes down the transaction of each claimed row, and how many rows are claimed and not bought yet.
const WATCH: &str = "
CREATE TABLE public.claim (written bigint, held bigint);
CREATE FUNCTION public.watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.claim SELECT NEW.written, count(*) FROM uso.job
    WHERE state IN ('reserved', 'sending');
    RETURN NULL;
END $$;
CREATE TRIGGER watch AFTER UPDATE ON uso.job FOR EACH ROW
WHEN (OLD.state = 'pending' AND NEW.state = 'reserved') EXECUTE FUNCTION public.watch();
";

#[tokio::test]
async fn a_claim_takes_a_row_for_each_free_place_and_sixteen_at_the_most() {
    let Some(server) = server("claims::a_claim") else {
        return;
    };
    // Places, and what they allow: rows that are held at a time, and rows of one transaction.
    for (places, held, of_one) in [(1, 1, 1), (2, 2, 2), (40, 40, 16)] {
        let rig = Rig::plain().await;
        let (place, folder) = (server.database().await, tempfile::tempdir().unwrap());
        let journal = Journal::connect(&place).await.unwrap();
        for row in 0..40 {
            let request = Request::subject("https://example.org/a.png", "x").seed(row);
            let offer = journal.offer(&rig.client, "b", (format!("r{row}"), request), None);
            offer.await.unwrap();
        }
        postgres::run(&place, WATCH).await;
        let work = journal.work(&rig.client, "b", folder.path()).await.unwrap();
        let summary = work.concurrency(places).start().finish().await;
        assert_eq!(summary.done, 40, "{places}: {summary:?}");
        assert_eq!(rig.emulator.ledger().purchases().len(), 40, "{places}");
        let most = "SELECT max(held) || ' ' || \
                    (SELECT max(rows) FROM (SELECT count(*) AS rows FROM public.claim \
                     GROUP BY written) AS of_one) FROM public.claim";
        let most = postgres::text(&place, most).await;
        assert_eq!(most, format!("{held} {of_one}"), "{places} places");
    }
}
