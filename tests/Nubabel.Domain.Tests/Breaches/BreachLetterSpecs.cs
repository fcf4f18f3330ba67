using Nubabel.Domain.Breaches;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Breaches;

public sealed class BreachLetterSpecs : Spec<BreachLetter>
{
    private static readonly Id<Breach> Of = Id<Breach>.Parse("01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55");
    private static readonly Id<User> To = Id<User>.Parse("01936d5e-5a10-7c44-8f0e-6b1d2c3a4f50");

    [Fact]
    public void A_letter_is_ordered_once_and_sent_once()
    {
        Given().When(new OrderBreachLetter(Of, BreachAudience.People, 1, To)).Then(Ordered());
        Given(Ordered()).When(new OrderBreachLetter(Of, BreachAudience.People, 1, To)).Nothing();
        Given(Ordered()).When(new SendBreachLetter()).Then(new BreachLetterSent());
        Given(Ordered(), new BreachLetterSent()).When(new SendBreachLetter()).Nothing();
        Given().When(new SendBreachLetter()).Refused("breach.letter_missing", RefusalKind.Missing);
    }

    [Fact]
    public void One_that_failed_may_arrive_after_all_and_one_that_arrived_does_not_fail()
    {
        Given(Ordered()).When(new FailBreachLetter(LetterFault.GivenUp)).Then(new BreachLetterFailed(LetterFault.GivenUp));
        Given(Ordered(), new BreachLetterFailed(LetterFault.GivenUp)).When(new FailBreachLetter(LetterFault.GivenUp)).Nothing();
        Given(Ordered(), new BreachLetterFailed(LetterFault.GivenUp)).When(new SendBreachLetter()).Then(new BreachLetterSent());
        Given(Ordered(), new BreachLetterSent()).When(new FailBreachLetter(LetterFault.GivenUp)).Nothing();
    }

    private static BreachLetterOrdered Ordered() => new(Of, BreachAudience.People, 1, To);
}
