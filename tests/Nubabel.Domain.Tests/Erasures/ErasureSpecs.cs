using Nubabel.Domain.Erasures;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Erasures;

public sealed class ErasureSpecs : Spec<Erasure>
{
    private static readonly Id<User> Ada = Id<User>.Parse("019a2b3c-4d5e-7f60-8123-456789abcdef");
    private static readonly ErasureRequested Requested = new(Ada, ErasureWish.Person, "hash");
    private static readonly Erased Counts = new(2, 3, 1, 4, 1, 5, 0);

    [Fact]
    public void An_erasure_is_wanted_once_and_the_first_wish_counts()
    {
        Given().When(new RequestErasure(Ada, ErasureWish.Person, "hash")).Then(Requested);
        Given(Requested).When(new RequestErasure(Ada, ErasureWish.Retention, "another", HadAccount: false)).Nothing();
        Given(Requested, new ErasureCompleted(Counts, "jws")).When(new RequestErasure(Ada, ErasureWish.Ledger, "hash")).Nothing();
    }

    [Fact]
    public void An_account_that_was_closed_before_is_told_apart() =>
        Given().When(new RequestErasure(Ada, ErasureWish.Retention, "hash", HadAccount: false)).Then(new ErasureRequested(Ada, ErasureWish.Retention, "hash", HadAccount: false));

    [Fact]
    public void It_is_completed_once()
    {
        Given(Requested).When(new CompleteErasure(Counts, "jws")).Then(new ErasureCompleted(Counts, "jws"));
        Given(Requested, new ErasureCompleted(Counts, "jws")).When(new CompleteErasure(Counts with { Keys = 0 }, "another")).Nothing();
        Given().When(new CompleteErasure(Counts, "jws")).Refused("erasure.missing", RefusalKind.Missing);
    }
}
