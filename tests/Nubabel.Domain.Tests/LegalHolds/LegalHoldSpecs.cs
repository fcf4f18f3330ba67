using Nubabel.Domain.LegalHolds;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.LegalHolds;

public sealed class LegalHoldSpecs : Spec<LegalHold>
{
    private static readonly Personal Reason = new("legal-hold-1", "c1"), Settled = new("legal-hold-1", "c2");
    private static readonly Id<User> Ada = Id<User>.Parse("0198aaaa-0000-7000-8000-0000000000a1");

    [Fact]
    public void A_hold_is_placed_once()
    {
        Given().When(new PlaceLegalHold(Reason, Ada)).Then(new LegalHoldPlaced(Reason, Ada));
        Given(new LegalHoldPlaced(Reason, Ada)).When(new PlaceLegalHold(Reason)).Refused("legal_hold.exists", RefusalKind.Conflict);
        Given(new LegalHoldPlaced(Reason, Ada)).When(new PlaceLegalHold(Settled, Ada)).Refused("legal_hold.exists", RefusalKind.Conflict);
    }

    [Fact]
    public void A_released_hold_never_comes_back()
    {
        Given(new LegalHoldPlaced(Reason)).When(new ReleaseLegalHold(Settled)).Then(new LegalHoldReleased(Settled));
        Given(new LegalHoldPlaced(Reason), new LegalHoldReleased(Settled)).When(new ReleaseLegalHold(Reason)).Nothing();
        Given(new LegalHoldPlaced(Reason), new LegalHoldReleased(Settled)).When(new PlaceLegalHold(Reason)).Refused("legal_hold.exists", RefusalKind.Conflict);
        Given().When(new ReleaseLegalHold(Reason)).Refused("legal_hold.missing", RefusalKind.Missing);
    }

    [Fact]
    public void Only_an_operator_releases_what_an_operator_has_placed()
    {
        Given(new LegalHoldPlaced(Reason, Ada, ByOperator: true)).When(new ReleaseLegalHold(Settled)).Refused("legal_hold.by_operator", RefusalKind.Denied);
        Given(new LegalHoldPlaced(Reason, Ada, ByOperator: true)).When(new ReleaseLegalHold(Settled, ByOperator: true)).Then(new LegalHoldReleased(Settled));
        Given(new LegalHoldPlaced(Reason, Ada)).When(new ReleaseLegalHold(Settled, ByOperator: true)).Then(new LegalHoldReleased(Settled));
    }
}
