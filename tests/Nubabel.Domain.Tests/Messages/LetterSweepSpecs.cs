using Nubabel.Domain.Messages;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Messages;

public sealed class LetterSweepSpecs : Spec<LetterSweep>
{
    private static readonly LetterSelection Mail = new([Id<DeadLetterControl>.Parse("019a2b3c-4d5e-7f60-8123-456789abc002")], Queue: "mail", From: At);
    private static readonly Reason Why = Reason.Parse("the mail server is back");
    private static readonly LetterSweepStarted Started = new(SweepKind.Replay, Mail, 120, At, Why);
    private static readonly StartSweep Start = new(SweepKind.Replay, Mail, 120, At, Why);
    private static DateTimeOffset At => new(2026, 11, 21, 8, 0, 0, TimeSpan.Zero);

    [Fact]
    public void An_act_is_ordered_once()
    {
        Given().When(Start).Then(Started);
        Given(Started).When(Start with { Expected = 7 }).Nothing();
    }

    [Fact]
    public void An_act_ends_once()
    {
        Given(Started).When(new EndSweep(119)).Then(new LetterSweepEnded(119));
        Given(Started, new LetterSweepEnded(119)).When(new EndSweep(3)).Nothing();
    }

    [Fact]
    public void What_was_not_ordered_does_not_end() => Given().When(new EndSweep(0)).Refused("letter_sweep.missing", RefusalKind.Missing);
}
