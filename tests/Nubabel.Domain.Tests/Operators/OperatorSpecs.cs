using Nubabel.Domain.Operators;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Operators;

public sealed class OperatorSpecs : Spec<Operator>
{
    private static readonly Personal Email = new("operator-1", "ZW1haWw");

    [Fact]
    public void An_operator_is_added() => Given().When(new AddOperator(Email, "key", "hash")).Then(new OperatorAdded(Email, "key", "hash"));

    [Fact]
    public void Adding_once_more_with_another_salt_changes_nothing() =>
        Given(new OperatorAdded(Email, "key", "hash")).When(new AddOperator(Email, "key", "other salt")).Nothing();

    [Fact]
    public void An_id_is_not_used_for_another_address() =>
        Given(new OperatorAdded(Email, "key", "hash")).When(new AddOperator(Email, "another", "hash")).Refused("operator.exists", RefusalKind.Conflict);

    [Fact]
    public void An_operator_holds_the_key_of_the_address() => Given(new OperatorAdded(Email, "key", "hash")).Holds("operator-email=key");

    [Fact]
    public void No_operator_holds_nothing() => Given().Holds();

    [Fact]
    public void An_operator_is_removed_once()
    {
        Given(new OperatorAdded(Email, "key", "hash")).When(new RemoveOperator()).Then(new OperatorRemoved());
        Given(new OperatorAdded(Email, "key", "hash"), new OperatorRemoved()).When(new RemoveOperator()).Nothing();
    }

    [Fact]
    public void A_removed_operator_leaves_the_address_to_others_and_does_not_come_back()
    {
        Given(new OperatorAdded(Email, "key", "hash"), new OperatorRemoved()).Holds();
        Given(new OperatorAdded(Email, "key", "hash"), new OperatorRemoved()).When(new AddOperator(Email, "key", "hash")).Refused("operator.exists", RefusalKind.Conflict);
    }

    [Fact]
    public void An_operator_that_never_was_is_missing() => Given().When(new RemoveOperator()).Refused("operator.missing", RefusalKind.Missing);
}
