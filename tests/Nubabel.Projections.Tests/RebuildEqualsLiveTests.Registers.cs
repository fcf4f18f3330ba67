using Nubabel.Domain;
using Nubabel.Domain.Consents;
using Nubabel.Domain.Users;
using Nubabel.Projections.Consents;
using Nubabel.Store;

namespace Nubabel.Projections.Tests;

public sealed partial class RebuildEqualsLiveTests
{
    /// <summary>What is written down for the law.</summary>
    internal sealed partial class History
    {
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
