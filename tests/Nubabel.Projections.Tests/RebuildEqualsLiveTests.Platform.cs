using Nubabel.Domain;
using Nubabel.Domain.Flags;
using Nubabel.Domain.Messages;
using Nubabel.Domain.Operators;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Projections.Tests;

public sealed partial class RebuildEqualsLiveTests
{
    /// <summary>What operators do.</summary>
    internal sealed partial class History
    {
        private async Task Operator()
        {
            var id = New<Operator>();
            var journal = JournalOf(Projection.PlatformTenant, new Origin("system:test"));
            var email = new Personal(Streams.Of(id), await keys.Seal(Projection.PlatformTenant, Streams.Of(id), "root@example.org", CancellationToken.None));
            await journal.Create(id, new AddOperator(email, $"key-{id}", "hash"), CancellationToken.None);
            await journal.Handle(id, new RemoveOperator(), CancellationToken.None);
        }

        private async Task Flags()
        {
            var ct = CancellationToken.None;
            var journal = JournalOf(Projection.PlatformTenant, new Origin("system:test"));
            foreach (var end in new Command<Flag>?[] { null, new ArchiveFlag() })
            {
                var key = FlagKey.Parse($"f{Guid.NewGuid():N}");
                var (stream, acme, rule) = (Streams.Named<Flag>(key.Value), New<Organization>(), New<FlagRule>());
                Command<Flag>[] commands =
                [
                    new CreateFlag(key, true), new ChangeFlag(FlagDescription.Parse("Soon"), false), new ChangeFlag(Enabled: true),
                    new AddFlagRule(new FlagRule(rule, FlagRuleType.Block, [acme])), new AddFlagRule(new FlagRule(New<FlagRule>(), FlagRuleType.Percentage, null, Percentage.Of(random.Next(100)))),
                    new RemoveFlagRule(rule), new ReplaceFlagRules([new FlagRule(rule, FlagRuleType.Allow, [acme, New<Organization>()])]),
                    new SetFlagOverride(acme, true, journal.Now().AddDays(1)), new SetFlagOverride(New<Organization>(), false), new RemoveFlagOverride(acme),
                ];
                foreach (var command in end is null ? commands : [.. commands, end]) await journal.Handle(stream, command, ct);
            }
        }

        /// <summary>What operators do with the very projections that are looked at.</summary>
        private async Task Control()
        {
            var journal = JournalOf(Projection.PlatformTenant, new Origin("operator:test"));
            Command<ProjectionControl>[] commands =
            [
                new PauseProjection(1, Reason.Parse("for the test")), new ResumeProjection(1), new SkipEvent(1, "none", "none", 0, Reason.Parse("nothing stands there")),
                new RetryKey(1), new StartRebuild(2, RebuildKind.Version, false, Given.Noon), new EndRebuild(2, RebuildOutcome.Failed, 0, 0, Given.Noon),
            ];
            foreach (var command in commands) await journal.Handle(Streams.Named<ProjectionControl>("devices"), command, CancellationToken.None);
            Command<DeadLetterControl>[] letter =
            [
                new ReadDeadLetter("none", "mail", "letter", true), new ReplayDeadLetter("none", "mail", "letter", 0), new DiscardDeadLetter("none", "mail", "letter", 1, Reason.Parse("the account is gone")),
            ];
            var (of, sweep) = (New<DeadLetterControl>(), New<LetterSweep>());
            foreach (var command in letter) await journal.Handle(of, command, CancellationToken.None);
            foreach (var command in new Command<LetterSweep>[] { new StartSweep(SweepKind.Discard, new LetterSelection([of]), 1, journal.Now(), Reason.Parse("a test's")), new EndSweep(1) })
                await journal.Handle(sweep, command, CancellationToken.None);
        }
    }
}
