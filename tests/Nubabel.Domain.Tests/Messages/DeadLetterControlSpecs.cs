using Nubabel.Domain.Messages;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Messages;

public sealed class DeadLetterControlSpecs : Spec<DeadLetterControl>
{
    private const string Tenant = "019a2b3c-4d5e-7f60-8123-456789abc001";
    private static readonly Reason Why = Reason.Parse("the mail server is back");
    private static readonly DeadLetterReplayed Replayed = new(Tenant, "mail", "letter", 0, true, Why);
    private static readonly DeadLetterDiscarded Discarded = new(Tenant, "mail", "letter", 0, Why);

    [Fact]
    public void A_letter_is_replayed_with_a_reason() => Given().When(new ReplayDeadLetter(Tenant, "mail", "letter", 0, true, Why)).Then(Replayed);

    [Fact]
    public void A_letter_is_discarded_with_a_reason() => Given().When(new DiscardDeadLetter(Tenant, "mail", "letter", 0, Why)).Then(Discarded);

    [Fact]
    public void One_death_is_answered_once()
    {
        Given(Replayed).When(new ReplayDeadLetter(Tenant, "mail", "letter", 0)).Nothing();
        Given(Replayed).When(new DiscardDeadLetter(Tenant, "mail", "letter", 0, Why)).Nothing();
        Given(Discarded).When(new ReplayDeadLetter(Tenant, "mail", "letter", 0)).Nothing();
    }

    [Fact]
    public void A_letter_that_died_again_is_dealt_with_again() =>
        Given(Replayed).When(new DiscardDeadLetter(Tenant, "mail", "letter", 1, Why)).Then(new DeadLetterDiscarded(Tenant, "mail", "letter", 1, Why));

    [Fact]
    public void Each_look_into_a_letter_is_recorded()
    {
        var read = new DeadLetterRead(Tenant, "mail", "letter", true);
        Given(read, Replayed).When(new ReadDeadLetter(Tenant, "mail", "letter", true)).Then(read);
    }
}
