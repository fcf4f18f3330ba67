using Nubabel.Domain.Retention;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Retention;

public sealed class RetentionRoundSpecs : Spec<RetentionRound>
{
    [Fact]
    public void A_look_through_all_organizations_is_written_down_once()
    {
        Given().When(new MakeRetentionRound(Noon, 3, "webhooks")).Then(new RetentionRoundMade(Noon, 3, "webhooks"));
        Given(new RetentionRoundMade(Noon, 3)).When(new MakeRetentionRound(Noon, 4)).Nothing();
    }
}
