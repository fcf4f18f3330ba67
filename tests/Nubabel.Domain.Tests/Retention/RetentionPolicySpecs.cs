using Nubabel.Domain.Retention;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Retention;

public sealed class RetentionPolicySpecs : Spec<RetentionPolicy>
{
    [Theory]
    [InlineData(0)]
    [InlineData(6)]
    [InlineData(91)]
    public void A_period_is_within_the_bounds_of_its_category(int days) => Given().When(new SetRetentionPolicy(days, 7, 90)).Refused("retention.period_invalid", RefusalKind.Invalid);

    [Theory]
    [InlineData(7)]
    [InlineData(90)]
    public void The_bounds_themselves_are_allowed(int days) => Given().When(new SetRetentionPolicy(days, 7, 90)).Then(new RetentionPolicySet(days));

    [Fact]
    public void What_was_said_already_is_not_said_again()
    {
        Given(new RetentionPolicySet(30)).When(new SetRetentionPolicy(30, 1, 90)).Nothing();
        Given(new RetentionPolicySet(30)).When(new SetRetentionPolicy(31, 1, 90)).Then(new RetentionPolicySet(31));
        Given(new RetentionPolicySet(30), new RetentionPolicyCleared()).When(new SetRetentionPolicy(30, 1, 90)).Then(new RetentionPolicySet(30));
        Given(new RetentionPolicySet(30)).When(new ClearRetentionPolicy()).Then(new RetentionPolicyCleared());
        Given().When(new ClearRetentionPolicy()).Nothing();
    }
}
