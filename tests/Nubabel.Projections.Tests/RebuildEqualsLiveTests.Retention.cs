using Nubabel.Domain;
using Nubabel.Domain.LegalHolds;
using Nubabel.Domain.Retention;
using Nubabel.Domain.Users;
using Nubabel.Store;

namespace Nubabel.Projections.Tests;

public sealed partial class RebuildEqualsLiveTests
{
    /// <summary>What is kept, and what is not.</summary>
    internal sealed partial class History
    {
        private async Task LegalHolds(Journal journal, Id<User> person, string subject)
        {
            var (ct, register) = (CancellationToken.None, Id<HoldRegister>.Parse(journal.Tenant));
            var reason = new Personal(subject, await keys.Seal(journal.Tenant, subject, "proceedings", ct));
            await journal.Handle(register, new OpenHoldRegister(), ct);
            await journal.Handle(register, new AdmitErasure(New<User>()), ct);
            for (var i = 0; i < 3; i++)
            {
                var hold = New<LegalHold>();
                await journal.Commit([new Step<HoldRegister>(register, new EnterHold(hold, i == 0 ? null : person)), new Step<LegalHold>(hold, new PlaceLegalHold(reason, i == 0 ? null : person, i == 2), fresh: true)], ct);
                if (i < 2) await journal.Commit([new Step<HoldRegister>(register, new LiftHold(hold)), new Step<LegalHold>(hold, new ReleaseLegalHold(reason))], ct);
            }
        }

        private async Task Retention(Journal journal)
        {
            var ct = CancellationToken.None;
            foreach (var days in new[] { 30, 60 }) await journal.Handle(Streams.Named<RetentionPolicy>("webhooks"), new SetRetentionPolicy(days, 1, 90), ct);
            await journal.Handle(Streams.Named<RetentionPolicy>("deliveries"), new SetRetentionPolicy(random.Next(1, 90), 1, 90), ct);
            await journal.Handle(Streams.Named<RetentionPolicy>("webhooks"), new ClearRetentionPolicy(), ct);
            foreach (var how in Enum.GetValues<RetentionEnd>())
            {
                var run = New<RetentionRun>();
                await journal.Handle(run, new BeginRetentionRun(journal.Now(), RetentionTrigger.Schedule), ct);
                CategoryResult[] results = [new("webhooks", 30, journal.Now(), journal.Now(), random.Next(100), 1, "ab"), new("deliveries", 30, journal.Now(), null, 0, 0, "00", "TimeoutException")];
                await journal.Handle(run, new EndRetentionRun(how, how == RetentionEnd.Completed ? [] : results), ct);
            }
            await journal.Handle(New<RetentionRound>(), new MakeRetentionRound(journal.Now(), 3, "webhooks"), ct);
        }
    }
}
