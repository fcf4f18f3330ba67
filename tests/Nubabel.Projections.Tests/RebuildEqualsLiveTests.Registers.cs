using Nubabel.Domain;
using Nubabel.Domain.Breaches;
using Nubabel.Domain.Consents;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.ProcessingRecords;
using Nubabel.Domain.Users;
using Nubabel.Projections.Consents;
using Nubabel.Store;

namespace Nubabel.Projections.Tests;

public sealed partial class RebuildEqualsLiveTests
{
    /// <summary>What is written down for the law.</summary>
    internal sealed partial class History
    {
        private async Task Breaches()
        {
            var ct = CancellationToken.None;
            var journal = JournalOf(Projection.PlatformTenant, new Origin("operator:test"));
            var (organization, user, words) = (New<Organization>(), New<User>(), new NoticeText(Phrase.Parse("S"), Prose.Parse("W"), Prose.Parse("C"), Prose.Parse("M"), Phrase.Parse("c@example.com")));
            foreach (var isClosed in new[] { false, true })
            {
                var breach = New<Breach>();
                var text = new Personal(Streams.Of(breach), await keys.Seal(Projection.PlatformTenant, Streams.Of(breach), "Ada saw it.", ct));
                Command<Breach>[] commands =
                [
                    new RecordBreach(new BreachFacts(Phrase.Parse("A backup"), text, journal.Now().AddHours(-1), [BreachKind.Confidentiality])), new AmendBreach(Source: Phrase.Parse("monitoring")),
                    new AssessBreach(new BreachAssessment(BreachRisk.High, Prose.Parse("R"), [Phrase.Parse("names")], [])), new SetBreachScope(new BreachScope([organization])),
                    new ReportBreach(Phrase.Parse("Authority"), journal.Now()), new WordBreach(BreachAudience.People, words), new OrderBreachNotification(BreachAudience.People),
                    new CompleteBreachNotification(BreachAudience.People, 1, 1, 1), new ExemptPeople(BreachExemption.RiskRemoved, Prose.Parse("E")), new CloseBreach(Prose.Parse("why")), new ReopenBreach(),
                ];
                foreach (var command in isClosed ? [.. commands, new CloseBreach(Prose.Parse("because"))] : commands) await journal.Handle(breach, command, ct);
                var told = JournalOf(organization.ToString(), new Origin("operator:test"));
                var content = new NoticeContent(words, journal.Now(), [BreachKind.Confidentiality], null, null, BreachRisk.High, [], 1);
                foreach (var number in new[] { 1, 2 }) await told.Handle(new Id<BreachNotice>(breach.Value), new GiveBreachNotice(number, content), ct);
                Command<BreachLetter>[] ends = isClosed ? [new SendBreachLetter()] : [new FailBreachLetter(LetterFault.GivenUp)];
                foreach (var end in ends)
                {
                    var letter = New<BreachLetter>();
                    await told.Handle(letter, new OrderBreachLetter(breach, BreachAudience.People, 1, user), ct);
                    await told.Handle(letter, end, ct);
                }
            }
        }

        private static async Task Processing(Journal journal)
        {
            foreach (var number in Enumerable.Range(0, 3))
            {
                var (record, ct) = (New<ProcessingRecord>(), CancellationToken.None);
                var says = new ProcessingDescription(Phrase.Parse($"Accounts {number}"), ProcessingRole.Controller, [Phrase.Parse("work")], [], [], [], [], new ProcessingRetention(Phrase.Parse("a year")), []);
                Command<ProcessingRecord>[] commands = [new CreateProcessingRecord(says), new ReviseProcessingRecord(says with { Role = ProcessingRole.JointController }), new ArchiveProcessingRecord(), new RestoreProcessingRecord()];
                foreach (var command in commands[..(number + 2)]) await journal.Handle(record, command, ct);
            }
        }

        private static async Task Consents(Journal journal, Id<User> user)
        {
            var ct = CancellationToken.None;
            foreach (var key in new[] { "news", "research", "old" }.Select(PurposeKey.Parse))
            {
                var purpose = Streams.Named<Purpose>(key.Value);
                await journal.Create(purpose, new DeclarePurpose(key, Phrase.Parse(key.Value), Prose.Parse("Once a month."), LawfulBasis.Consent), ct);
                Command<Consent>[] decisions = [new GiveConsent(key, 1, "h1", ConsentChannel.Parse("page")), new WithdrawConsent(key), new GiveConsent(key, 2, "h2")];
                foreach (var decision in key.Value == "news" ? decisions[1..2].Append(new WithdrawConsent(key, Objects: true)) : decisions) await journal.Handle(ConsentProof.StreamOf(user), decision, ct);
                await journal.Handle(purpose, new ChangePurpose(Text: Prose.Parse("Once a week."), Required: true), ct);
                if (key.Value == "old") await journal.Handle(purpose, new RetirePurpose(), ct);
            }
        }
    }
}
